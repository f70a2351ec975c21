/** The file of `--config`: one JSON object, its members as the table of settings names them. No secret stands in it. */
import { readFile } from 'node:fs/promises'
import { SETTINGS } from './setting.ts'

export interface ConfigurationFile {
  readonly path: string
  /** Not yet checked. */
  readonly members: Readonly<Record<string, unknown>>
  readonly mistakes: readonly string[]
  /** Nobody knows what it says. */
  readonly unread: boolean
}

/** @param where what named the file, as a sentence about it begins */
export async function readConfigurationFile(path: string, where: string): Promise<ConfigurationFile> {
  const wrong = (mistake: string): ConfigurationFile => ({ path, members: {}, mistakes: [mistake], unread: true })
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
    return wrong(`${where} names ${path}, which cannot be read (${code}).`)
  }
  let value: unknown
  try {
    value = JSON.parse(text.replace(/^\uFEFF/, ''))
  } catch (error) {
    return wrong(`${path} is not JSON${placeIn(error)}.`)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return wrong(`${path} must hold one JSON object, for example {"port": 7420}.`)
  }
  const members = value as Readonly<Record<string, unknown>>
  const mistakes = Object.keys(members)
    .filter((name) => SETTINGS.every((setting) => setting.name !== name))
    .map((name) => unknownMember(name, path))
  return { path, members, mistakes, unread: false }
}

/** Where the parser stopped. The rest of its message quotes the file. */
function placeIn(error: unknown): string {
  const [, line, column] = /line (\d+) column (\d+)/.exec(error instanceof Error ? error.message : '') ?? []
  return line === undefined || column === undefined ? '' : `: see line ${line}, column ${column}`
}

function unknownMember(name: string, path: string): string {
  if (/(secret|password|token|^(master|api)?[-_]?key)$/i.test(name)) {
    return (
      `"${spelled(name)}" in ${path} is refused: no secret belongs into this file. The master key comes from the ` +
      'variable TOKENKEEP_KEY or from the file that "keyFile" names. If a secret stands there, take it out.'
    )
  }
  const meant = SETTINGS.find((setting) => bare(setting.name) === bare(name))
  if (meant !== undefined) return `"${spelled(name)}" in ${path} is not known: write "${meant.name}".`
  return `"${spelled(name)}" in ${path} is not known: docs/serve.md lists the settings.`
}

const bare = (name: string): string => name.replace(/[-_]/g, '').toLowerCase()
const spelled = (name: string): string => (/^[\w.-]{1,40}$/.test(name) ? name : '...')
