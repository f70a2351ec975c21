/** What `package.json` of this folder names, brought by `npm ci` when it is first needed. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { run } from './fleet.ts'

const FOLDER = fileURLToPath(new URL('.', import.meta.url))
let bringing: Promise<unknown> | null = null

/** @returns the version of a package, which is there afterwards */
export async function bringPackage(name: string): Promise<string> {
  const manifest = join(FOLDER, 'node_modules', name, 'package.json')
  if (!existsSync(manifest)) {
    // Rows are played at the same time.
    bringing ??= run({ command: 'npm', args: ['ci', '--no-audit', '--no-fund'], cwd: FOLDER })
    await bringing
  }
  return (JSON.parse(readFileSync(manifest, 'utf8')) as { readonly version: string }).version
}
