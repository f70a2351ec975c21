// Prints what the library packages export; with --approve, writes it down as what they shall export.
import { writeFileSync } from 'node:fs'
import { APPROVED, exportedNames } from '../checks/exported-names.ts'

const text = `${JSON.stringify(exportedNames(), null, 2)}\n`
if (process.argv[2] === '--approve') writeFileSync(APPROVED, text)
else process.stdout.write(text)
