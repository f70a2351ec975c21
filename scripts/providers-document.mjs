// Prints docs/providers.md as the presets have it; with --write, writes it.
import { writeFileSync } from 'node:fs'
import { DOCUMENT, providersDocument } from '../checks/providers-document.ts'

const text = await providersDocument()
if (process.argv[2] === '--write') writeFileSync(DOCUMENT, text)
else process.stdout.write(text)
