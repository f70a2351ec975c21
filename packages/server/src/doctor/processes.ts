/** Who has the data open on this host, and what they could not put into the database. */
import type { StateSeen } from '@tokenkeep/node'
import { counted, findingsOf, type Finding, type Kinds } from './finding.ts'

export const PROCESSES = {
  processes: {
    is: 'ok',
    says: 'processes of this host that have the data open: {alive}',
    todo: null,
  },
  processes_dead: {
    is: 'note',
    says: '{dead} ended without a farewell (killed, or power was lost), and left nothing behind',
    todo: 'Nothing: the next process that works here tidies up.',
  },
  processes_unknown: {
    is: 'note',
    says: 'of {unknown} nobody can say from here whether they live: their files are of another user',
    todo: 'Run doctor as the user that the server runs as.',
  },
  answers_left: {
    is: 'wrong',
    says: '{answers} of providers wait in the slots of processes that are dead, and with them the only refresh tokens',
    todo: 'Start a process on these data (`tokenkeep serve`): it keeps them. Delete nothing in {folder}.',
  },
  answers_waiting: {
    is: 'note',
    says: '{answers} of providers wait in the slots of a living process: the database did not take them',
    todo: 'Look at the database below; the process puts them in by itself. Do not end it before, and delete nothing in {folder}.',
  },
  state_unusable: {
    is: 'wrong',
    says: '{reason}',
    todo: 'Run doctor as the user that the data belong to; if the disk is damaged, save the folder first.',
  },
} as const satisfies Kinds

const found = findingsOf('processes', PROCESSES)

export function judgeProcesses({ folder, alive, dead, unknown, answers }: StateSeen): readonly Finding[] {
  const { ofAlive, ofDead } = answers
  return [
    found('processes', { alive }),
    ...(ofDead > 0 ? [found('answers_left', { answers: counted(ofDead, 'answer'), folder })] : []),
    ...(ofAlive > 0 ? [found('answers_waiting', { answers: counted(ofAlive, 'answer'), folder })] : []),
    ...(dead > 0 && ofDead === 0 ? [found('processes_dead', { dead: counted(dead, 'process', 'processes') })] : []),
    ...(unknown > 0 ? [found('processes_unknown', { unknown: counted(unknown, 'process', 'processes') })] : []),
  ]
}

export const stateUnusable = (reason: string): Finding => found('state_unusable', { reason })
