import { TokenError } from '@tokenkeep/core'
import type { SpawnedDevserver } from '@tokenkeep/devserver'
import { REALM, REGISTERED_CLIENT } from './demo.ts'

/**
 * Starts the development authorization server as a process of its own, which ends with this one, however that ends.
 *
 * @throws TokenError `in_use`: the port; `folder_unusable`: its state file; `invalid_input`: it is not installed
 */
export async function startAuthorizationServer(at: {
  readonly port: number
  /** One file; with it the server goes on where it was. */
  readonly stateFile: string
}): Promise<SpawnedDevserver> {
  const { PortInUse, spawnDevserver, StateUnusable } = await installed()
  try {
    return await spawnDevserver({
      ...at,
      realms: [{ name: REALM, rotation: { kind: 'strict' }, clients: [REGISTERED_CLIENT] }],
    })
  } catch (error) {
    if (error instanceof PortInUse) {
      throw new TokenError(
        'in_use',
        `${error.message}. Another \`tokenkeep dev\` may be running; --as-port PORT chooses another port, as --port PORT does for Tokenkeep itself.`,
      )
    }
    if (error instanceof StateUnusable) {
      throw new TokenError(
        'folder_unusable',
        `${error.message}. Where another \`tokenkeep dev\` runs on this folder, --data FOLDER chooses another one.`,
      )
    }
    throw error
  }
}

/** It is no part of the published package: nobody should start a pretended authorization server by accident. */
async function installed(): Promise<typeof import('@tokenkeep/devserver')> {
  try {
    return await import('@tokenkeep/devserver')
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : null
    if (code !== 'ERR_MODULE_NOT_FOUND') throw error
    throw new TokenError(
      'invalid_input',
      '`tokenkeep dev` needs the package @tokenkeep/devserver, which is not installed with tokenkeep: ' +
        'npm install --save-dev @tokenkeep/devserver. In a clone, run `npm ci`.',
    )
  }
}
