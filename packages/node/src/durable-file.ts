import { randomUUID } from 'node:crypto'
import type { Stats } from 'node:fs'
import { link, mkdir, open, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import process from 'node:process'
import { systemErrorCode } from './system-error.ts'

/** Makes a folder and those above it, for its owner alone, and makes their names durable. An existing one is left as it is. */
export async function makeFolder(path: string): Promise<void> {
  const folder = resolve(path)
  // One by one: `recursive` never ends where a file system says of an existing folder that it is not there, as /proc does.
  try {
    await mkdir(folder, { mode: 0o700 })
  } catch (error) {
    const code = systemErrorCode(error)
    if (code === 'EEXIST' && (await stat(folder)).isDirectory()) return
    const above = dirname(folder)
    if (code !== 'ENOENT' || above === folder) throw error
    // It may have been made in this very moment, by another who makes the same folders. A second ENOENT is an answer.
    if (await isThere(above)) await mkdir(folder, { mode: 0o700 }).catch(unlessThere)
    else {
      await makeFolder(above)
      await makeFolder(folder)
      return
    }
  }
  await syncFolder(dirname(folder))
}

function unlessThere(error: unknown): void {
  if (systemErrorCode(error) !== 'EEXIST') throw error
}

async function isThere(path: string): Promise<boolean> {
  try {
    await stat(path)
    return true
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return false
    throw error
  }
}

/** Makes the names in a folder durable: a synced file whose name is lost is lost. */
export async function syncFolder(path: string): Promise<void> {
  // Windows cannot open a folder to sync it, and writes names through by itself.
  if (process.platform === 'win32') return
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

/** Whose a file becomes, and who may use it; otherwise it is its maker's, for nobody else. */
export type Whose = Pick<Stats, 'uid' | 'gid' | 'mode'>

/**
 * Creates a file, complete and durable, or leaves the one that is there. Of several who try at once one creates it.
 *
 * The content appears under its name all at once, so nobody reads half of it. Either way the name is durable afterwards.
 */
export async function createOnce(path: string, content: string, whose?: Whose): Promise<'created' | 'exists'> {
  const draft = await writeDraft(path, content, whose)
  try {
    // Unlike rename, link never replaces what is there.
    await link(draft, path)
    return 'created'
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return 'exists'
    throw error
  } finally {
    await rm(draft, { force: true })
    await syncFolder(dirname(path))
  }
}

/**
 * Puts a file in the place of another, durably: a reader sees the old content or the new one, also after a crash.
 *
 * @param path no symbolic link: it would be replaced itself
 */
export async function replaceFile(path: string, content: string, whose?: Whose): Promise<void> {
  const draft = await writeDraft(path, content, whose)
  try {
    await rename(draft, path)
  } catch (error) {
    await rm(draft, { force: true })
    throw error
  }
  await syncFolder(dirname(path))
}

async function writeDraft(path: string, content: string, whose?: Whose): Promise<string> {
  const draft = join(dirname(path), `.${basename(path)}.${randomUUID()}`)
  const file = await open(draft, 'wx', 0o600)
  try {
    await file.writeFile(content)
    if (whose !== undefined) {
      if ((await file.stat()).uid !== whose.uid) await file.chown(whose.uid, whose.gid)
      await file.chmod(whose.mode & 0o777)
    }
    await file.sync()
  } catch (error) {
    await rm(draft, { force: true })
    throw error
  } finally {
    await file.close()
  }
  return draft
}
