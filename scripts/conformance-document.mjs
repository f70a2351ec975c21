// Prints docs/conformance.md as checks/conformance has it; with --write, writes it.
import { writeFileSync } from 'node:fs'
import { conformanceDocument, DOCUMENT } from '../checks/conformance-document.ts'
import { SPECIFICATIONS } from '../checks/conformance/specifications.ts'

const text = await conformanceDocument(SPECIFICATIONS)
if (process.argv[2] === '--write') writeFileSync(DOCUMENT, text)
else process.stdout.write(text)
