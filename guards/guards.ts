/** The guards of `PROTOCOL.md` section 14, in its order: what each protects, how it is removed, and what must fail then. */
import { ANSWERS } from './answers.ts'
import type { Guard } from './guard.ts'
import { KEEPING } from './keeping.ts'
import { PRESENTING } from './presenting.ts'

export const GUARDS: readonly Guard[] = [...PRESENTING, ...ANSWERS, ...KEEPING]
