/** What is asked of `npm run interop`. */
import { parseArgs } from 'node:util'

export type Asked = { readonly list: true } | { readonly list: false; readonly names: readonly string[] }

/**
 * Reads the arguments.
 *
 * @param known the names of all rows
 * @returns the names of the rows to play, in the order of `known`
 * @throws Error in one sentence what is wrong, and what there is
 */
export function readOptions(argv: readonly string[], known: readonly string[]): Asked {
  const { only, list } = parsed(argv)
  if (list === true) return { list: true }
  const unknown = (only ?? []).filter((name) => !known.includes(name))
  if (unknown.length > 0) throw new Error(`no row is called ${unknown.join(', ')}; there are ${known.join(', ')}`)
  return { list: false, names: only === undefined ? known : known.filter((name) => only.includes(name)) }
}

function parsed(argv: readonly string[]): { readonly only?: string[]; readonly list?: boolean } {
  try {
    return parseArgs({
      args: [...argv],
      options: { only: { type: 'string', multiple: true }, list: { type: 'boolean' } },
    }).values
  } catch {
    throw new Error(`${argv.join(' ')} is not understood; there are --only ROW, as often as you like, and --list`)
  }
}
