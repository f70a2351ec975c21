/** Guards 1 to 10: what stands before and around the one presentation of a refresh token. */
import type { Guard } from './guard.ts'

const LEASE = 'packages/core/src/lease.ts'
const TAKEOVER = 'packages/core/src/takeover.ts'
const REFRESH = 'packages/core/src/refresh.ts'
const LEASE_TEST = 'packages/core/test/lease.test.ts'
const REPETITION_TEST = 'packages/core/test/dpop-repetition.test.ts'
const MANAGER_TEST = 'packages/core/test/manager.test.ts'

export const PRESENTING: readonly Guard[] = [
  {
    number: 1,
    name: 'ticket taken once',
    protects: 'One intent is one presentation: whoever asks a second time gets no refresh token.',
    removals: [
      {
        what: 'a ticket lends its refresh token as often as it is asked',
        changes: [{ file: LEASE, find: '      taken = true\n', replace: '' }],
        caughtBy: { file: LEASE_TEST, test: 'a ticket is taken once, also by one who was told that it is over' },
      },
      {
        what: 'for each nonce that is asked for there is one more ticket',
        changes: [{ file: LEASE, find: '      left = false\n', replace: '' }],
        caughtBy: {
          file: LEASE_TEST,
          test: 'a second ticket is had once, for a first one that was taken, and is taken once itself',
        },
      },
      {
        what: 'an answer that brings tokens and asks for a nonce is taken for a question',
        changes: [
          {
            file: 'packages/core/src/grant.ts',
            find: 'if (body === null || readTokens(body, provider.answer, answeredAt(answer)) !== null) return null',
            replace: 'if (body === null) return null',
          },
        ],
        caughtBy: { file: REPETITION_TEST, test: 'an answer that brings a refresh token asks for no second request' },
      },
      {
        what: 'an attempt that was given up sends its second request',
        changes: [{ file: REFRESH, find: 'dpopKey === null || first.left ? null', replace: 'dpopKey === null ? null' }],
        caughtBy: {
          file: REPETITION_TEST,
          test: 'an attempt that was given up is not gone on with, though its answer came while nobody could be told',
        },
      },
      {
        what: 'the second request asks nobody whether the attempt still stands',
        changes: [{ file: REFRESH, find: 'if (inTime && !again) return lease', replace: 'if (inTime) return lease' }],
        caughtBy: {
          file: REPETITION_TEST,
          test: 'a sign-in that was replaced meanwhile is not presented again, and whoever waits gets a token of the new one',
        },
      },
    ],
  },
  {
    number: 2,
    name: 'intent durable before send',
    protects: 'Whoever comes after a kill knows that a refresh token may have left.',
    removals: [
      {
        what: 'acquire lends the ticket and writes nothing',
        changes: [
          {
            file: 'packages/node/src/store-attempts.ts',
            find: 'return { row: decision.row, history: [begun(decision.lease, context, now)], events: [], result: acquired }',
            replace: 'return unchanged(acquired)',
          },
        ],
        caughtBy: {
          file: 'packages/node/test/store-memory.test.ts',
          test: 'once acquire has answered, every other store sees the intent',
        },
      },
      {
        what: 'a write is acknowledged before its COMMIT',
        changes: [
          {
            file: 'packages/node/src/sqlite-group-commit.ts',
            find: '    try {\n      commit.run()',
            replace: '    for (const { job, result } of done) job.resolve(result)\n    try {\n      commit.run()',
          },
        ],
        caughtBy: {
          file: 'packages/node/test/sqlite-group-commit.test.ts',
          test: 'a COMMIT that fails fails everybody in it',
        },
      },
    ],
    open: 'that COMMIT reaches the disk (`synchronous = FULL`, `synchronous_commit`) takes a power cut to show.',
  },
  {
    number: 3,
    name: 'a lost lease becomes doubt',
    protects: 'A refresh token whose holder fell silent is not free: it may have been spent.',
    removals: [
      {
        what: 'a takeover leads back to the state from before the attempt',
        changes: [
          {
            file: TAKEOVER,
            find: '  return written(\n    doubted(row, state, terms, {',
            replace: '  const freed = () => ({ ...row, state: state.from })\n  return written(\n    freed({',
          },
        ],
        caughtBy: {
          file: MANAGER_TEST,
          test: 'a silent owner is watched for one whole lease, and waited for with patience, before anybody presents',
        },
      },
    ],
  },
  {
    number: 4,
    name: 'patience',
    protects:
      'A frozen process may hold the answer: it gets time to wake up and keep it, before a second presentation kills.',
    removals: [
      {
        what: 'after a silent owner only the end of the access token is waited for',
        changes: [
          {
            file: 'packages/core/src/schedule.ts',
            find: '  if (state.silentSince === null) return end\n',
            replace: '  return end\n',
          },
        ],
        caughtBy: {
          file: 'packages/core/test/doubt.test.ts',
          test: 'a frozen owner is waited for with patience, also where no access token lives any more',
        },
      },
    ],
  },
  {
    number: 5,
    name: 'lease observed, not only read',
    protects: 'A clock that jumps ends no lease: whoever takes over has watched it for one lease by its own clock.',
    removals: [
      {
        what: 'the clock of the store alone ends a lease',
        changes: [
          {
            file: TAKEOVER,
            find: 'return evidence.watchedMs >= attempt.leaseMs && isOver(attempt, now)',
            replace: 'return isOver(attempt, now)',
          },
        ],
        caughtBy: {
          file: 'packages/node/test/store-memory.test.ts',
          test: 'a takeover needs the lease to be over by the store clock and by the watch of one whole lease',
        },
      },
      {
        what: 'the watch alone ends a lease',
        changes: [
          {
            file: TAKEOVER,
            find: 'return evidence.watchedMs >= attempt.leaseMs && isOver(attempt, now)',
            replace: 'return evidence.watchedMs >= attempt.leaseMs',
          },
        ],
        caughtBy: {
          file: 'packages/node/test/store-memory.test.ts',
          test: 'a takeover needs the lease to be over by the store clock and by the watch of one whole lease',
        },
      },
      {
        what: 'a heartbeat does not begin the watch anew',
        changes: [
          {
            file: 'packages/core/src/wait.ts',
            find: '    if (open.heartbeat !== watch.seen.heartbeat) watch.seenAt = now\n',
            replace: '',
          },
        ],
        caughtBy: {
          file: 'packages/core/test/wait.test.ts',
          test: 'a renewed lease is watched anew, and one that falls silent is taken over',
        },
      },
      {
        what: 'silence while the store was away counts',
        changes: [
          {
            file: 'packages/core/src/scheduler.ts',
            find: "      manager.storeWas('away')\n",
            replace: '',
          },
        ],
        caughtBy: {
          file: 'packages/core/test/grace-window.test.ts',
          test: 'silence while the store is away for everybody proves nothing: an answer that came meanwhile is committed, not doubted',
        },
      },
      {
        what: 'a process takes its own attempt for silent while its answer waits for the store',
        changes: [
          {
            file: 'packages/core/src/wait.ts',
            find: '      if (watch.seen.owner === owner && isKeeping(watch.view.row.uid)) watch.seenAt = now\n      else void conclude(watch, watchedMs)\n',
            replace: '      void conclude(watch, watchedMs)\n',
          },
        ],
        caughtBy: {
          file: 'packages/core/test/wait.test.ts',
          test: 'a process does not put its own attempt in doubt while its answer waits for the store',
        },
      },
    ],
  },
  {
    number: 6,
    name: 'last check: lease',
    protects: 'A process that woke up late sends nothing: by then somebody else may have presented.',
    removals: [
      {
        what: 'nothing is too late for the first byte',
        changes: [
          {
            file: LEASE,
            find: 'return elapsed < lease.sendLimitMs && elapsed < lease.windowMs',
            replace: 'return elapsed < lease.windowMs',
          },
        ],
        caughtBy: { file: MANAGER_TEST, test: 'past the send limit nothing is sent, unless the lease can be renewed' },
      },
      {
        what: 'the ticket does not look at the time in the tick of the first byte',
        changes: [
          {
            file: LEASE,
            find: 'return maySend(lease, now) && session() === lease.session ?',
            replace: 'return session() === lease.session ?',
          },
        ],
        caughtBy: { file: 'packages/node/test/token-endpoint.test.ts', test: 'past the send limit nothing is sent' },
      },
    ],
  },
  {
    number: 7,
    name: 'last check: session',
    protects: 'A database that restarted may have lost the intent: nothing is sent on the word of the session before.',
    removals: [
      {
        what: 'the session of the store is not compared',
        changes: [{ file: LEASE, find: ' && session() === lease.session ?', replace: ' ?' }],
        caughtBy: {
          file: 'packages/core/test/remembered-pairs.test.ts',
          test: 'a store that restarts between the intent and the sending: nothing is sent',
        },
      },
    ],
  },
  {
    number: 8,
    name: 'listening beyond the deadline',
    protects: 'Where a second presentation kills, a slow answer may hold the only refresh token: it is waited for.',
    removals: [
      {
        what: 'every connection is reset at the grant deadline',
        changes: [
          {
            file: REFRESH,
            find: '    if (over && !policy.listensOn && !leaving) leave()\n',
            replace: '    if (over && !leaving) leave()\n',
          },
        ],
        caughtBy: {
          file: MANAGER_TEST,
          test: 'a living token is handed out while its refresh is slow: after half of what is left of it',
        },
      },
    ],
  },
  {
    number: 9,
    name: 'ticks instead of timers',
    protects: 'After a freeze the answer in the socket is read before any deadline throws it away.',
    removals: [
      {
        what: 'a tick is a plain timer, which runs before the sockets are read',
        changes: [
          {
            file: 'packages/node/src/clock-system.ts',
            find: 'setTimeout(() => setImmediate(resolve), TICK_MS)',
            replace: 'setTimeout(resolve, TICK_MS)',
          },
        ],
        caughtBy: {
          file: 'packages/node/test/clock.test.ts',
          test: 'a tick ends after the sockets were read that became readable while the loop stood still',
        },
      },
      {
        what: 'the deadline is counted by the clock, and a freeze uses it up',
        changes: [
          {
            file: REFRESH,
            find: 'for (let waitedMs = 0; answer === null; waitedMs += TICK_MS) {',
            replace:
              'const begunAt = clock.now().mono\n  for (let waitedMs = 0; answer === null; waitedMs = since(begunAt, clock.now().mono)) {',
          },
        ],
        caughtBy: {
          file: 'packages/core/test/doubt.test.ts',
          test: 'with a grace, a freeze uses up nothing of the time for the answer: one that comes after it is kept',
        },
      },
    ],
  },
  {
    number: 10,
    name: 'reset at abandon',
    protects: 'What is given up is not delivered later by a polite close, as a second presentation.',
    removals: [
      {
        what: 'an abandoned connection is closed politely',
        changes: [
          {
            file: 'packages/node/src/line.ts',
            find: 'else this.#tcp.resetAndDestroy()',
            replace: 'else this.#tcp.end()',
          },
        ],
        caughtBy: {
          file: 'packages/node/test/line.test.ts',
          test: 'http: abandoning resets the connection, which a polite close would not',
        },
      },
    ],
  },
]
