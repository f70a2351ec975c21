/**
 * `PRAGMA quick_check` in a process of its own: it reads the whole file and cannot be interrupted, but a process can be killed.
 *
 * @see https://www.sqlite.org/pragma.html#pragma_quick_check
 */
import process from 'node:process'
import { DatabaseSync } from 'node:sqlite'

const FAULTS_MOST = 5
const BUSY_MS = 2_000

const sql = new DatabaseSync(String(process.argv[2]), { readOnly: true, timeout: BUSY_MS })
const found = sql.prepare(`PRAGMA quick_check(${FAULTS_MOST})`).all()
process.stdout.write(JSON.stringify(found.map((row) => String(Object.values(row)[0]))))
