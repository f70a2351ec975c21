/** Guards 26 to 39: what keeps databases, processes, sign-ins and callers apart. */
import type { Guard } from './guard.ts'

const ACTS = 'packages/core/src/acts.ts'
const BREAKER = 'packages/core/src/breaker.ts'
const COMMIT = 'packages/core/src/commit.ts'
const DECIDE = 'packages/core/src/decide.ts'
const INCARNATION = 'packages/core/src/incarnation.ts'
const LEASE = 'packages/core/src/lease.ts'
const MANAGER = 'packages/core/src/manager.ts'
const REFRESH = 'packages/core/src/refresh.ts'
const STORE_ACTS = 'packages/node/src/store-acts.ts'
const BREAKER_TEST = 'packages/core/test/breaker.test.ts'
const DECIDE_TEST = 'packages/core/test/decide.test.ts'
const FLOORS_TEST = 'packages/core/test/floors.test.ts'
const MANAGER_TEST = 'packages/core/test/manager.test.ts'
const STORE_TEST = 'packages/node/test/store-memory.test.ts'

export const KEEPING: readonly Guard[] = [
  {
    number: 26,
    name: 'hold on another incarnation',
    protects: 'A copy or a restored backup presents nothing that its original may have spent.',
    removals: [
      {
        what: 'a database at another place is taken for the original',
        changes: [
          {
            file: INCARNATION,
            find: "  if (kept.place !== null && placeNow !== null && kept.place !== placeNow) return 'another_place'\n",
            replace: '',
          },
        ],
        caughtBy: { file: 'packages/node/test/hold.test.ts', test: 'a copy is held, and its original is not' },
      },
      {
        what: 'an older epoch than the marker has seen is taken for the newest',
        changes: [
          {
            file: INCARNATION,
            find: "  if (own.some(({ epoch }) => epoch > kept.epoch)) return 'older_epoch'\n",
            replace: '',
          },
        ],
        caughtBy: {
          file: 'packages/node/test/hold.test.ts',
          test: 'what was written since the last opening makes a backup from before it older, also within a minute',
        },
      },
      {
        what: 'of two that went on from one state each is taken for the other',
        changes: [{ file: INCARNATION, find: "return branched ? 'another_branch' : null", replace: 'return null' }],
        caughtBy: {
          file: 'packages/node/test/hold.test.ts',
          test: 'two that went on from one state are told apart, though their epochs are equal',
        },
      },
      {
        what: 'in hold a refresh token is lent',
        changes: [
          {
            file: 'packages/node/src/store-attempts.ts',
            find: "        if (found.hold !== null) return unchanged({ kind: 'on_hold' })\n",
            replace: '',
          },
        ],
        caughtBy: {
          file: STORE_TEST,
          test: 'in hold nothing is lent, by whatever store and from whatever view; what lives is read',
        },
      },
      {
        what: 'in hold an attempt that the copy shows as open is taken over',
        changes: [
          {
            file: 'packages/node/src/store-attempts.ts',
            find: 'if (found === null || found.hold !== null) return unchanged(null)',
            replace: 'if (found === null) return unchanged(null)',
          },
        ],
        caughtBy: {
          file: STORE_TEST,
          test: 'in hold nothing is taken over, by time or by a proof that is about the copy of a lock',
        },
      },
    ],
  },
  {
    number: 27,
    name: 'store shows less',
    protects: 'After a failover that lost a rotation, the refresh token from before it is not presented again.',
    removals: [
      {
        what: 'what the store shows is believed',
        changes: [
          {
            file: 'packages/core/src/remembered-pairs.ts',
            find: 'return generation < chain.seen ? chain : null',
            replace: 'return null',
          },
        ],
        caughtBy: {
          file: 'packages/core/test/remembered-pairs.test.ts',
          test: 'several rotations that were lost together are given again in their order',
        },
      },
      {
        what: 'an attempt that had ended is put in doubt as the store shows it',
        changes: [
          {
            file: 'packages/core/src/remembered-pairs.ts',
            find: '      if (chain !== null) await commitAgain(chain)\n',
            replace: '',
          },
        ],
        caughtBy: {
          file: 'packages/core/test/remembered-pairs.test.ts',
          test: 'an attempt of before, shown open again, is not put in doubt: the pair that ended it is given back',
        },
      },
      {
        what: 'what is handed out is not compared',
        changes: [
          {
            file: 'packages/core/src/remembered-pairs.ts',
            find: '      if (behind.length === 0) return views\n',
            replace: '      if (behind.length >= 0) return views\n',
          },
        ],
        caughtBy: {
          file: 'packages/core/test/remembered-pairs.test.ts',
          test: 'what is handed out is compared once a second, and given back before another process presents the spent token',
        },
      },
    ],
  },
  {
    number: 28,
    name: 'uid and grant in every write',
    protects: 'Nothing that belongs to another connection, or to the sign-in before this one, changes anything.',
    removals: [
      {
        what: 'an answer from before a new sign-in counts',
        changes: [
          {
            file: COMMIT,
            find: "if (status === 'erased' || row.grant !== kept.grant) return nobodys",
            replace: "if (status === 'erased') return nobodys",
          },
        ],
        caughtBy: {
          file: 'packages/core/test/transitions.test.ts',
          test: 'granted to another grant: every state has an answer',
        },
      },
      {
        what: 'an answer of another connection counts',
        changes: [{ file: COMMIT, find: '  if (row.uid !== kept.uid) return nobodys\n', replace: '' }],
        caughtBy: {
          file: 'packages/core/test/transitions.test.ts',
          test: 'granted to another connection: every state has an answer',
        },
      },
      {
        what: 'whoever read before a new sign-in, a rotation or an attempt may acquire',
        changes: [
          {
            file: LEASE,
            find: 'if (row.grant !== request.at.grant || row.generation !== request.at.generation || row.fence !== request.at.fence) {',
            replace: 'if (false) {',
          },
        ],
        caughtBy: { file: STORE_TEST, test: 'acquire with another grant than the row has is refused as moved' },
      },
      {
        what: 'a new sign-in overwrites another one that came first',
        changes: [
          {
            file: STORE_ACTS,
            find: "          if (found.row.grant !== at.grant) return unchanged({ kind: 'moved' })\n",
            replace: '',
          },
        ],
        caughtBy: { file: STORE_TEST, test: 'a reconnect that another reconnect overtook is refused as moved' },
      },
    ],
  },
  {
    number: 29,
    name: 'tombstone',
    protects: 'A late answer to a deleted connection is known again and revoked, and its name can be taken anew.',
    removals: [
      {
        what: 'an erased connection takes what comes late',
        changes: [
          {
            file: COMMIT,
            find: "if (status === 'erased' || row.grant !== kept.grant) return nobodys",
            replace: 'if (row.grant !== kept.grant) return nobodys',
          },
        ],
        caughtBy: {
          file: 'packages/core/test/transitions.test.ts',
          test: 'an erased connection takes no late answer, also one with client credentials',
        },
      },
      {
        what: 'what comes late for an erased connection is noted, and not revoked',
        changes: [
          {
            file: COMMIT,
            find: "const dying = status === 'deleting' || status === 'erased'",
            replace: "const dying = status === 'deleting'",
          },
        ],
        caughtBy: {
          file: STORE_TEST,
          test: 'a finished deletion leaves a tombstone: late answers are recognised, the id is free',
        },
      },
      {
        what: 'a tombstone is forgotten at once',
        changes: [
          {
            file: STORE_ACTS,
            find: 'later(now.wall, ms(-context.numbers.tombstoneMs))',
            replace: 'later(now.wall, ms(1))',
          },
        ],
        caughtBy: { file: STORE_TEST, test: 'a tombstone is forgotten after 30 days' },
      },
    ],
  },
  {
    number: 30,
    name: 'duplicate fingerprint',
    protects: 'Two connections never present the same refresh token.',
    removals: [
      {
        what: 'an import may bring what another connection holds',
        changes: [
          {
            file: STORE_ACTS,
            find: "\n        if (twin !== null && provider.reuse.kind !== 'reusable') return unchanged({ kind: 'twin', id: twin })",
            replace: '',
          },
        ],
        caughtBy: {
          file: STORE_TEST,
          test: 'a refresh token that another connection of the client holds is refused, and the other is named',
        },
      },
      {
        what: 'a new sign-in may bring what another connection holds',
        changes: [
          {
            file: STORE_ACTS,
            find: "\n          if (twin !== null && provider.reuse.kind !== 'reusable') return unchanged({ kind: 'twin', id: twin })",
            replace: '',
          },
        ],
        caughtBy: {
          file: STORE_TEST,
          test: 'reconnect with the refresh token of another connection is refused, with its own it is not',
        },
      },
    ],
  },
  {
    number: 31,
    name: 're-seal by revision',
    protects: 'Sealing everything anew while refreshes go on puts no older pair back.',
    removals: [
      {
        what: 'what was read in one transaction is written in another one',
        changes: [
          {
            file: 'packages/node/src/reseal.ts',
            find: '      const done = await Promise.all(\n',
            replace:
              '      const seen = new Map()\n      for (const uid of uids) seen.set(uid, await rows.change(uid, (found) => unchanged(found)))\n      const done = await Promise.all(\n',
          },
          {
            file: 'packages/node/src/reseal.ts',
            find: 'const row = withResealed(found.row, visit(uid, keys))\n            const changed = row !== found.row',
            replace:
              'const row = withResealed(seen.get(uid).row, visit(uid, keys))\n            const changed = row !== seen.get(uid).row',
          },
        ],
        caughtBy: {
          file: 'packages/node/test/reseal.test.ts',
          test: 'a refresh that is committed between two steps of sealing anew is not undone by it',
        },
      },
      {
        what: 'Postgres writes a row whatever its revision is by then',
        changes: [
          {
            file: 'packages/node/src/postgres-write.ts',
            find: 'WHERE uid = ? AND revision = ? ${free}',
            replace: 'WHERE uid = ? AND (revision = ? OR true) ${free}',
          },
        ],
        caughtBy: {
          file: 'packages/node/test/store-postgres.test.ts',
          test: 'due work is claimed once by two that ask at the same time',
        },
        needs: 'postgres',
      },
    ],
  },
  {
    number: 32,
    name: 'associated data by purpose',
    protects: 'A ciphertext opens in its own place only: an access token does not open as that of another scope.',
    removals: [
      {
        what: 'the purpose is not part of what the seal covers',
        changes: [
          {
            file: 'packages/node/src/cipher-aes-gcm.ts',
            find: 'joinUnambiguously(installation, place.owner, place.purpose, place.serial)',
            replace: 'joinUnambiguously(installation, place.owner, place.serial)',
          },
        ],
        caughtBy: {
          file: 'packages/node/test/cipher.test.ts',
          test: 'an access token does not open as that of another variant, though both are sealed with one key',
        },
      },
    ],
  },
  {
    number: 33,
    name: 'minTtl cap and floor',
    protects: 'No caller makes every call a refresh, and no provider of tiny lifetimes is stormed.',
    removals: [
      {
        what: 'a caller is owed the life that it asks for, also more than half of the lifetime',
        changes: [
          {
            file: 'packages/core/src/policy.ts',
            find: ': shorter(askedMs, ms(lifetimeMs / 2))',
            replace: ': askedMs',
          },
        ],
        caughtBy: { file: DECIDE_TEST, test: 'a token with half of its life, asked for more than that: hand_out full' },
      },
      {
        what: 'there is no least time between two refreshes',
        changes: [
          {
            file: DECIDE,
            find: 'now < later(token.sentAt, floorMs(token.lifetimeMs, policy))',
            replace: 'false',
          },
        ],
        caughtBy: {
          file: DECIDE_TEST,
          test: 'the floor holds a refresh ahead of a token that was just granted',
        },
      },
    ],
  },
  {
    number: 34,
    name: 'one forced refresh per AT',
    protects: 'An API that refuses everything causes no storm of refreshes.',
    removals: [
      {
        what: 'each report of a 401 for one access token forces a refresh',
        changes: [
          { file: ACTS, find: '  if (named.refusedAt !== null) return { current: true, row }\n', replace: '' },
          {
            file: ACTS,
            find: '  if (forced !== null && holdsBack(forced, terms, now.wall)) return { current: true, row }\n',
            replace: '',
          },
        ],
        caughtBy: {
          file: FLOORS_TEST,
          test: 'one access token forces one refresh, however often it is reported',
        },
      },
      {
        what: 'forced refreshes follow each other at once',
        changes: [
          {
            file: ACTS,
            find: '  if (forced !== null && holdsBack(forced, terms, now.wall)) return { current: true, row }\n',
            replace: '',
          },
        ],
        caughtBy: {
          file: FLOORS_TEST,
          test: 'two refreshes are forced 10 s apart, and what is reported in between changes nothing',
        },
      },
    ],
  },
  {
    number: 35,
    name: 'breaker without probes',
    protects:
      'A provider in trouble is asked for what is due or wanted, rarely, and never with a refresh token chosen as a probe.',
    removals: [
      {
        what: 'while it is open, due work goes as ever',
        changes: [
          {
            file: BREAKER,
            find: 'return urgency === URGENCIES.caller ? breaker.callerAt : breaker.probeAt',
            replace: 'return urgency === URGENCIES.caller ? breaker.callerAt : breaker.since',
          },
        ],
        caughtBy: {
          file: BREAKER_TEST,
          test: 'open, it lets due work through ever more rarely: after a second at most, then up to every 30 s',
        },
      },
      {
        what: 'what could be lost waits for a probe to succeed',
        changes: [
          {
            file: BREAKER,
            find: '  if (isPressing(urgency)) return Number.NEGATIVE_INFINITY as MonoMs\n',
            replace: '',
          },
        ],
        caughtBy: {
          file: BREAKER_TEST,
          test: 'open, it lets through what could be lost, whenever it comes',
        },
      },
    ],
    open: 'that nothing is presented only to find out whether a provider works cannot be shown by removing anything: no line does it. The removals show what is held back meanwhile, and what is not.',
  },
  {
    number: 36,
    name: 'claiming moves `due_at`',
    protects: 'What is due is done by one process, and comes back by itself where that one dies.',
    removals: [
      {
        what: 'a claim leaves it due',
        changes: [
          {
            file: 'packages/node/src/connection-store.ts',
            find: 'const row = { ...found.row, revision: next(found.row.revision), dueAt, updatedAt: now.wall }',
            replace:
              'const row = { ...found.row, revision: next(found.row.revision), updatedAt: now.wall + 0 * dueAt }',
          },
        ],
        caughtBy: { file: STORE_TEST, test: 'due work is claimed once by two that ask at the same time' },
      },
    ],
  },
  {
    number: 37,
    name: 'coalescing key',
    protects: 'Nobody is given what was refreshed for another scope, or for the sign-in before.',
    removals: [
      {
        what: 'a refresh is shared by whatever scope',
        changes: [
          {
            file: 'packages/core/src/flight.ts',
            find: 'flight.grant === grant && flight.variant === variant',
            replace: 'flight.grant === grant',
          },
        ],
        caughtBy: {
          file: MANAGER_TEST,
          test: 'an answer that the store does not take is handed out to everybody here who waits for it, also who came while it was on its way',
        },
      },
      {
        what: 'a refresh is shared by whatever sign-in',
        changes: [
          {
            file: 'packages/core/src/flight.ts',
            find: 'flight.grant === grant && flight.variant === variant',
            replace: 'flight.variant === variant',
          },
        ],
        caughtBy: {
          file: 'packages/core/test/manager-acts.test.ts',
          test: 'what a refresh of the sign-in before brings is given to nobody who asks after a new sign-in',
        },
      },
    ],
  },
  {
    number: 38,
    name: "caller's cancellation ignored",
    protects: 'A caller that gives up ends its waiting, and never a presentation that was sent.',
    removals: [
      {
        what: 'a caller whose time is up resets the connection',
        changes: [
          {
            file: REFRESH,
            find: 'const AGAIN_MS = ms(1000)\n',
            replace: 'const AGAIN_MS = ms(1000)\nexport const givenUp = new Set<string>()\n',
          },
          {
            file: REFRESH,
            find: '    await Promise.race([ever, clock.tick()])\n',
            replace:
              '    await Promise.race([ever, clock.tick()])\n    if (givenUp.has(of.view.row.uid)) presentation.abandon()\n',
          },
          {
            file: MANAGER,
            find: 'import { refresh, reserved, storeAway,',
            replace: 'import { givenUp, refresh, reserved, storeAway,',
          },
          {
            file: MANAGER,
            find: "        if (flown === 'deadline') return atDeadline(view, decision.meanwhile, tooLate(view, urgency))\n",
            replace:
              "        if (flown === 'deadline') givenUp.add(uid)\n        if (flown === 'deadline') return atDeadline(view, decision.meanwhile, tooLate(view, urgency))\n",
          },
        ],
        caughtBy: { file: MANAGER_TEST, test: "a caller's limit ends its waiting, not the refresh" },
      },
    ],
    open: 'we know no way in which a caller could end a presentation: the ports take no signal, and a flight knows no callers. The removal makes such a way.',
  },
  {
    number: 39,
    name: 'adopt before blame',
    protects: 'A refusal counts only if nothing better is known meanwhile: a good answer that waits beats it.',
    removals: [
      {
        what: 'a refusal is judged without a look at the answer that is held',
        changes: [
          {
            file: COMMIT,
            find: '  if (row.successor !== null) return promoted(row, terms, writing.now)\n',
            replace: '',
          },
        ],
        caughtBy: {
          file: 'packages/core/test/transitions.test.ts',
          test: 'a held answer beats every other end of the later attempt',
        },
      },
    ],
    open: 'the store is not read again before a refusal counts, for the refusal is written in the transaction that reads the row: a newer generation has ended the attempt, and then guard 11 makes the refusal history.',
  },
]
