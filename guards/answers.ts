/** Guards 11 to 25: what an answer may change, and when a refresh token in doubt is presented again. */
import type { Guard } from './guard.ts'

const COMMIT = 'packages/core/src/commit.ts'
const SCHEDULE = 'packages/core/src/schedule.ts'
const LEASE = 'packages/core/src/lease.ts'
const DOUBT_TEST = 'packages/core/test/doubt.test.ts'
const LEASE_TEST = 'packages/core/test/lease.test.ts'
const MANAGER_TEST = 'packages/core/test/manager.test.ts'
const SCHEDULE_TEST = 'packages/core/test/schedule.test.ts'
const STORE_TEST = 'packages/node/test/store-memory.test.ts'

export const ANSWERS: readonly Guard[] = [
  {
    number: 11,
    name: 'fence on negative outcomes',
    protects: 'A refusal or a failure that comes late says nothing about an attempt that was made since.',
    removals: [
      {
        what: 'every outcome ends the attempt that is open, whoever it belongs to',
        changes: [
          {
            file: LEASE,
            find: 'return attempt?.id === of.attempt && attempt.fence === of.fence ? attempt : null',
            replace: 'return attempt',
          },
        ],
        caughtBy: { file: STORE_TEST, test: 'a negative answer under an old fence changes nothing' },
      },
    ],
  },
  {
    number: 12,
    name: 'ancestry on grants',
    protects:
      'A granted answer counts by the refresh token that it answers, however late it comes, and by nothing else.',
    removals: [
      {
        what: 'a grant counts only while its lease does',
        changes: [
          {
            file: COMMIT,
            find: "if (end.kind === 'granted') return accept(",
            replace: "if (end.kind === 'granted' && openAttemptOf(row, lease) !== null) return accept(",
          },
        ],
        caughtBy: {
          file: MANAGER_TEST,
          test: 'a lease that was lost meanwhile costs the answer nothing: it is committed by its ancestry',
        },
      },
      {
        what: 'a grant to an older refresh token replaces the pair of now',
        changes: [{ file: COMMIT, find: 'if (kept.answers === current) {', replace: 'if (true) {' }],
        caughtBy: {
          file: STORE_TEST,
          test: 'an answer to the parent of a pair that was presented does not replace it',
        },
      },
    ],
  },
  {
    number: 13,
    name: 'later fence wins',
    protects: 'Of two answers to one refresh token the one that was sent later is the living one.',
    removals: [
      {
        what: 'an earlier answer replaces the pair that a later one brought',
        changes: [
          {
            file: COMMIT,
            find: 'const laterThanCurrent = row.lastGrant === null || kept.fence > row.lastGrant.fence',
            replace: 'const laterThanCurrent = true',
          },
        ],
        caughtBy: {
          file: STORE_TEST,
          test: 'an answer that lost to a later one is kept, and lent after a refusal, by another manager too',
        },
      },
      {
        what: 'an earlier access token replaces a later one of its variant',
        changes: [
          {
            file: COMMIT,
            find: '  if (same !== undefined && same.fence >= kept.fence) return row.accessTokens\n',
            replace: '',
          },
        ],
        caughtBy: {
          file: 'packages/core/test/transitions.test.ts',
          test: 'of two answers that leave the refresh token as it is, the access token of the later attempt stays',
        },
      },
    ],
  },
  {
    number: 14,
    name: 'successor held',
    protects: 'A good answer waits while a later attempt for the same refresh token is open, whose answer would win.',
    removals: [
      {
        what: 'it takes its place at once',
        changes: [
          {
            file: COMMIT,
            find: 'return laterAttemptOpen(row, kept) ? hold(row, terms, kept, writing) : replace(row, terms, kept, writing)',
            replace: 'return replace(row, terms, kept, writing)',
          },
        ],
        caughtBy: { file: STORE_TEST, test: 'a held answer gives way to the later attempt that is granted, too' },
      },
    ],
  },
  {
    number: 15,
    name: 'idempotent commit',
    protects: 'An answer may be committed and replayed as often as it takes: it counts once.',
    removals: [
      {
        what: 'an answer that is recorded already is judged anew',
        changes: [{ file: COMMIT, find: "  if (isRecorded(row, kept)) return { kind: 'again', row }\n", replace: '' }],
        caughtBy: {
          file: STORE_TEST,
          test: 'the same answer again, by commit or replay, in either order, changes nothing',
        },
      },
    ],
  },
  {
    number: 16,
    name: 'room before send',
    protects: 'Nothing is sent whose answer could not be kept.',
    removals: [
      {
        what: 'without a free slot it is sent all the same',
        changes: [
          {
            file: 'packages/core/src/refresh.ts',
            find: "  const room = await reserved(ports)\n  if ('kind' in room) return room\n",
            replace:
              "  const found = await reserved(ports)\n  const sealer = await ports.cipher.sealer()\n  const room: Room = 'kind' in found ? { sealer, release: () => undefined } : found\n",
          },
        ],
        caughtBy: {
          file: MANAGER_TEST,
          test: 'without room for the answer nothing is presented, the store is blamed and not the provider, and it is told once',
        },
      },
    ],
  },
  {
    number: 17,
    name: 'slots replayed before takeover',
    protects: 'What a dead process left in its slots beats every doubt about it.',
    removals: [
      {
        what: 'its attempts are put in doubt first',
        changes: [
          {
            file: 'packages/core/src/wait.ts',
            find: "      await replayAll(ports, readable(proof))\n      await takeOverAll(proof.owner, 'owner_dead', () => proof)\n",
            replace:
              "      await takeOverAll(proof.owner, 'owner_dead', () => proof)\n      await replayAll(ports, readable(proof))\n",
          },
        ],
        caughtBy: {
          file: MANAGER_TEST,
          test: 'slots of a dead owner are replayed before anybody doubts its attempt',
        },
      },
    ],
  },
  {
    number: 18,
    name: 'slots replayed at start',
    protects: 'What lies in the slots of the dead is kept before a process presents anything.',
    removals: [
      {
        what: 'a process that starts looks for nobody who died',
        changes: [
          {
            file: 'packages/node/src/open-tokenkeep.ts',
            find: '  await manager.watches.buryTheDead()\n',
            replace: '',
          },
        ],
        caughtBy: {
          file: 'packages/node/test/processes-killed.test.ts',
          test: 'what the dead left in their slots is kept by whoever starts next, before anybody asks',
        },
      },
    ],
  },
  {
    number: 19,
    name: 'durable before hand-out',
    protects: 'Nobody is given a token of which a kill would leave nothing.',
    removals: [
      {
        what: 'an answer that neither store nor slot has taken is handed out',
        changes: [
          {
            file: 'packages/core/src/refresh.ts',
            find: "spilled: result === 'spilled' ? { granted, tokens: outcome, dpopKey: view.dpopKey, taken } : null,",
            replace:
              "spilled: typeof result === 'string' ? { granted, tokens: outcome, dpopKey: view.dpopKey, taken } : null,",
          },
          {
            file: 'packages/core/src/spill.ts',
            find: '  const entry = atOnce ?? (await retryUntil(ports, policy, taken, keep))\n',
            replace: '  const entry = atOnce\n',
          },
          {
            file: 'packages/core/src/spill.ts',
            find: "if (entry === null) return (await committed) ?? 'open'",
            replace: "if (entry === null) return 'open'",
          },
        ],
        caughtBy: { file: MANAGER_TEST, test: 'an answer that is durable nowhere is handed out to nobody until it is' },
      },
    ],
  },
  {
    number: 20,
    name: 'confirm before blame',
    protects: 'A spurious refusal asks nobody to sign in again.',
    removals: [
      {
        what: 'the first refusal is believed',
        changes: [
          {
            file: COMMIT,
            find: "return state.from.status === 'suspect' && state.from.refusals === 2 ? 'revoked' : null",
            replace: "return 'revoked'",
          },
        ],
        caughtBy: { file: MANAGER_TEST, test: 'a spurious refusal costs a caller 15 s and nobody a sign-in' },
      },
    ],
  },
  {
    number: 21,
    name: 'back-off after its end',
    protects: 'A doubt that nothing protects any more is tried again with growing pauses, not in a storm.',
    removals: [
      {
        what: 'a try in doubt follows the one before at once',
        changes: [
          {
            file: SCHEDULE,
            find: 'return when(why, latest(allowed.at, from), now)',
            replace: 'return when(why, allowed.at, now)',
          },
        ],
        caughtBy: {
          file: SCHEDULE_TEST,
          test: 'a try in doubt backs off under every policy, and from its end on under strict',
        },
      },
    ],
  },
  {
    number: 22,
    name: "the RT's end bounds the wait",
    protects: 'Waiting for an access token to end is never waiting for a refresh token to die.',
    removals: [
      {
        what: 'a doubt waits beyond the known end of its refresh token',
        changes: [
          {
            file: SCHEDULE,
            find: 'return known === null ? end : latest(now, earliest(end, known))',
            replace: 'return end',
          },
        ],
        caughtBy: {
          file: SCHEDULE_TEST,
          test: 'in doubt, strict: the margin before the end of the refresh token bounds the wait',
        },
      },
    ],
  },
  {
    number: 23,
    name: 'no try after 0.75 n',
    protects: 'A try that would arrive when the grace window closes is not sent.',
    removals: [
      {
        what: 'a window is held to be open until its last moment',
        changes: [
          {
            file: 'packages/core/src/policy.ts',
            find: 'ms(seconds(reuse.seconds) * 0.75)',
            replace: 'ms(seconds(reuse.seconds))',
          },
        ],
        caughtBy: { file: SCHEDULE_TEST, test: 'in doubt, grace at 0.75 n: as strict' },
      },
      {
        what: 'the last check does not look at the window',
        changes: [
          {
            file: LEASE,
            find: 'return elapsed < lease.sendLimitMs && elapsed < lease.windowMs',
            replace: 'return elapsed < lease.sendLimitMs',
          },
        ],
        caughtBy: { file: LEASE_TEST, test: 'a try in doubt is not sent once its window has closed' },
      },
    ],
  },
  {
    number: 24,
    name: 'count durable in `counted`',
    protects: 'A provider that answers n times more is never asked once more than that, whoever died in between.',
    removals: [
      {
        what: 'a presentation is not counted with its intent',
        changes: [{ file: LEASE, find: '    ...counted(row, attempt, 1),\n', replace: '    ...row,\n' }],
        caughtBy: {
          file: DOUBT_TEST,
          test: 'counted: one presentation and n more, then as strict; the count is durable before each is sent',
        },
      },
    ],
  },
  {
    number: 25,
    name: 'prompt retry only after a seen end or proof',
    protects:
      'The one early retry of a provider of unknown habits is made only where no first request can still be on its way.',
    removals: [
      {
        what: 'a silent owner brings one, too',
        changes: [
          {
            file: 'packages/core/src/takeover.ts',
            find: 'promptAfterMs: dead ? terms.policy.promptRetryAfterDeathMs : null',
            replace: 'promptAfterMs: terms.policy.promptRetryAfterDeathMs',
          },
        ],
        caughtBy: {
          file: LEASE_TEST,
          test: 'proof of death brings a prompt retry to the one who holds it, a silent owner brings none',
        },
      },
      {
        what: 'our own reset brings one, too',
        changes: [
          {
            file: COMMIT,
            find: 'promptAfterMs: end.endSeen ? terms.policy.promptRetryAfterMs : null',
            replace: 'promptAfterMs: terms.policy.promptRetryAfterMs',
          },
        ],
        caughtBy: {
          file: 'packages/core/test/transitions.test.ts',
          test: 'a prompt retry follows an end of the connection that was seen, and never our own reset',
        },
      },
      {
        what: 'whoever comes first makes it',
        changes: [
          {
            file: SCHEDULE,
            find: 'if (by === owner && prompt <= strict.at)',
            replace: 'if (prompt <= strict.at)',
          },
        ],
        caughtBy: { file: SCHEDULE_TEST, test: 'the prompt retry belongs to the one who saw the end, 200 ms after it' },
      },
    ],
  },
]
