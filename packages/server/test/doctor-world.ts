/** Runs `tokenkeep doctor` on an installation, and finds what it said. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { commandHere } from './command-here.ts'
import type { Ended } from './command.ts'
import type { Installation } from './installation.ts'
import type { Finding } from '../src/doctor/finding.ts'
import type { FindingCode } from '../src/doctor/catalogue.ts'

export interface Doctored {
  readonly code: number | null
  readonly wrong: number
  readonly notes: number
  readonly ok: number
  readonly findings: readonly Finding[]
  /** The codes of what is wrong, in order. */
  readonly wrongCodes: readonly string[]
  /** What was found of this kind; there has to be exactly one. */
  the(code: FindingCode): Finding
  has(code: FindingCode): boolean
}

export function read({ code, out, err }: Pick<Ended, 'code' | 'out' | 'err'>): Doctored {
  assert.match(out, /^[^\n]+\n$/, err)
  const { wrong, notes, ok, findings } = JSON.parse(out) as Pick<Doctored, 'wrong' | 'notes' | 'ok' | 'findings'>
  return {
    code,
    wrong,
    notes,
    ok,
    findings,
    wrongCodes: findings.filter(({ is }) => is === 'wrong').map((each) => each.code),
    the(wanted) {
      const all = findings.filter((each) => each.code === wanted)
      assert.equal(all.length, 1, `${wanted}: ${out}`)
      return all[0] as Finding
    },
    has: (wanted) => findings.some((each) => each.code === wanted),
  }
}

/** Nothing listens there, whatever else runs on this machine. */
const NO_PORT = { TOKENKEEP_PORT: '1' }

/** In this process, as an installation's host would run it. */
export async function doctor(
  here: Installation,
  args: readonly string[] = [],
  environment: Readonly<Record<string, string>> = {},
): Promise<Doctored> {
  const ended = await commandHere(['doctor', '--json', ...args], {
    folder: here.desk.folder,
    environment: { ...here.desk.environment, ...here.environmentOf(), ...NO_PORT, ...environment },
  })
  assertSaysNone(ended, [...here.secrets, ...masterKeysOf(here)])
  return read(ended)
}

export function assertSaysNone({ out, err }: Pick<Ended, 'out' | 'err'>, secrets: readonly string[]): void {
  for (const secret of secrets) assert.ok(!`${out}${err}`.includes(secret), 'a secret was printed')
}

/** The keys that stand in the key file, whatever else does. */
function masterKeysOf({ host }: Installation): readonly string[] {
  try {
    return readFileSync(host.keyFile, 'utf8').match(/[\w-]{43}/g) ?? []
  } catch {
    return []
  }
}
