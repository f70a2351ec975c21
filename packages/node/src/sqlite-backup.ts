/** A backup of a SQLite database in use: one file, whole, that starts on hold wherever it is put. */
import { linkSync, rmSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { randomUUID } from 'node:crypto'
import { basename, dirname, join, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { TokenError, type Hold, type UnixMs } from '@tokenkeep/core'
import { syncFolder } from './durable-file.ts'
import { inWords, systemErrorCode } from './system-error.ts'

/**
 * Copies the database as it is at one instant, while others read and write it. This process does nothing else meanwhile.
 *
 * @param to a file that is not there yet
 * @throws TokenError `invalid_input` where there is one; `folder_unusable` where nothing can be written
 */
export async function backUpSqlite({ path, to, now }: { path: string; to: string; now: UnixMs }): Promise<void> {
  const target = resolve(to)
  const draft = join(dirname(target), `.${basename(target)}.${randomUUID()}`)
  try {
    // Before anything is in it, because SQLite would make it readable for everybody until it is whole.
    await (await open(draft, 'wx', 0o600)).close()
    const source = new DatabaseSync(path, { readOnly: true, timeout: 5_000 })
    try {
      source.prepare('VACUUM INTO ?').run(draft)
    } finally {
      source.close()
    }
    const copy = new DatabaseSync(draft)
    try {
      const hold: Hold = { since: now, because: 'backup' }
      copy.prepare('UPDATE installation SET hold = ?').run(JSON.stringify(hold))
    } finally {
      copy.close()
    }
    await synced(draft)
    // Unlike rename, link never replaces what is there.
    linkSync(draft, target)
  } catch (error) {
    if (systemErrorCode(error) === 'EEXIST') {
      throw new TokenError('invalid_input', `there is a file ${target} already: a backup never replaces one`)
    }
    throw new TokenError('folder_unusable', `cannot write the backup ${target}: ${inWords(error)}`)
  } finally {
    rmSync(draft, { force: true })
  }
  await syncFolder(dirname(target))
}

async function synced(path: string): Promise<void> {
  const file = await open(path, 'r+')
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}
