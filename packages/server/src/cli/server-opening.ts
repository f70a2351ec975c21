/** Makes a command the client of a server: its URL checked, its key read. Loaded only where a server is asked. */
import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import process from 'node:process'
import { Secret, TokenError } from '@tokenkeep/core'
import type { ServerKeeper } from '../remote/keeper.ts'
import { openRemote } from '../remote/remote-keeper.ts'
import { parseServerUrl } from '../remote/server-url.ts'
import type { Output } from './output.ts'
import { readSecrets } from './secret-source.ts'
import type { ServerPlace } from './server-place.ts'
import type { Surroundings } from './surroundings.ts'

/** @throws TokenError `invalid_input`, `unauthorized`; nothing was sent then */
export async function openServer(server: ServerPlace, around: Surroundings, output: Output): Promise<ServerKeeper> {
  const url = parseServerUrl(server.url, server.said)
  const apiKey = new Secret('api_key', await readApiKey(server, around, output))
  return openRemote({ url, apiKey, now: () => around.now() })
}

/**
 * The key of a server, which other users of this machine should not be able to read. That is said and not refused:
 * containers get their secrets in files that everybody in them can read.
 *
 * @throws TokenError `unauthorized` where none is named, `invalid_input` for what is none
 */
async function readApiKey({ apiKey }: ServerPlace, around: Surroundings, output: Output): Promise<string> {
  if (apiKey === null) {
    throw new TokenError(
      'unauthorized',
      'a server asks for an API key: set TOKENKEEP_API_KEY, or name a file with --api-key-file or ' +
        'TOKENKEEP_API_KEY_FILE. `tokenkeep key create` makes one at the server.',
    )
  }
  if (apiKey.from === 'file' && isOpenToOthers(resolve(around.folder, apiKey.path))) {
    output.aside('other users of this machine can read the file with the API key (`chmod 600` closes it)')
  }
  const { 'api-key': key } = await readSecrets({ 'api-key': apiKey }, around)
  // Whatever else is in that place, the master key for example, must not be sent to anybody.
  if (key === undefined || !LIKE_A_KEY.test(key)) {
    throw wrong(
      'what was given as the API key is none: a key begins with tkk_ and is shown once, by `tokenkeep key create`. ' +
        'Its id (key_...) is not the key. Nothing was sent.',
    )
  }
  return key
}

const LIKE_A_KEY = /^tkk_[\w-]{20,200}$/

/** Of a file; pipes have no readers but their own. */
function isOpenToOthers(path: string): boolean {
  if (process.platform === 'win32') return false
  try {
    const found = statSync(path)
    return found.isFile() && (found.mode & 0o077) !== 0
  } catch {
    return false // Reading it says what is wrong.
  }
}

const wrong = (message: string): TokenError => new TokenError('invalid_input', message)
