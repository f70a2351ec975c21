import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  TROUBLES,
  type ClientId,
  type ConnectionId,
  type ListQuery,
  type ProviderId,
  type UnixMs,
} from '@tokenkeep/core'
import { selectLines } from '../src/audit-codec.ts'
import { AUDIT_STATEMENTS } from '../src/sqlite-audit.ts'
import { CALLER_STATEMENTS } from '../src/sqlite-callers.ts'
import { MINUTE_STATEMENTS } from '../src/sqlite-minutes.ts'
import { eventQuery } from '../src/event-codec.ts'
import { EVENT_STATEMENTS } from '../src/sqlite-events.ts'
import { RECEIVED_EVENT_STATEMENTS } from '../src/sqlite-received-events.ts'
import { CONNECT_SESSION_STATEMENTS } from '../src/sqlite-connect-sessions.ts'
import type { OverviewQueries } from '../src/overview-select.ts'
import { PAGE_SESSION_STATEMENTS } from '../src/sqlite-page-sessions.ts'
import {
  OVERVIEW,
  SELECT_ATTEMPTS,
  SELECT_BY_ID,
  SELECT_BY_UID,
  SELECT_DUE,
  SELECT_ELSEWHERE,
  SELECT_HISTORY,
  SELECT_OTHER,
  SELECT_TOMBSTONE,
  SELECT_TWIN,
  WALK,
} from '../src/sqlite-select.ts'
import { newFolder, openDatabase } from './contract/sqlite-backend.ts'
import { newKeyring } from './contract/store-world.ts'

async function planner() {
  const folder = await newFolder()
  const database = await openDatabase(folder.database, newKeyring())
  const everyStep = (text: string): string[] =>
    database.sql
      .prepare(`EXPLAIN QUERY PLAN ${text}`)
      .all()
      .map(({ detail }) => String(detail))
  return {
    everyStep,
    /** The steps of SQLite's plan that touch the table of connections. */
    plan: (text: string): string[] => everyStep(text).filter((step) => /\b(c|l|connection)\b/.test(step)),
    end: async () => {
      await database.close()
      await folder.remove()
    },
  }
}

test('a tick of the scheduler reads one short range of a covering index, however many connections there are', async () => {
  const { plan, end } = await planner()
  assert.deepEqual(plan(SELECT_DUE), ['SEARCH connection USING COVERING INDEX connection_due (urgency=? AND due_at<?)'])
  await end()
})

test('the look at what others have open, once a second, walks that and no more', async () => {
  const { plan, end } = await planner()
  assert.deepEqual(plan(SELECT_ELSEWHERE), ['SEARCH c USING INDEX connection_attempt (attempt_owner>?)'])
  await end()
})

for (const [name, text] of Object.entries({
  SELECT_ATTEMPTS,
  SELECT_BY_ID,
  SELECT_BY_UID,
  SELECT_HISTORY,
  SELECT_OTHER,
  SELECT_TOMBSTONE,
  SELECT_TWIN,
})) {
  test(`${name} finds its row by an index`, async () => {
    const { plan, end } = await planner()
    const steps = plan(text)
    assert.ok(steps.length > 0 && steps.every((step) => step.startsWith('SEARCH')), steps.join('\n'))
    await end()
  })
}

/** What is asked for, and the sources with their indexes in the order in which they are tried. */
const LISTS: readonly (readonly [Partial<ListQuery>, readonly (readonly [string, string])[]])[] = [
  [{}, [['living', 'connection_living']]],
  [{ provider: 'p' as ProviderId }, [['provider', 'connection_of_provider']]],
  [{ provider: 'p' as ProviderId, client: 'c' as ClientId }, [['client', 'connection_of_client']]],
  [{ status: 'ready' }, [['living', 'connection_living']]],
  [{ status: 'in_doubt' }, [['status', 'connection_troubled']]],
  [{ status: 'presenting' }, [['status', 'connection_attempt']]],
  [{ status: ['needs_user', 'blocked'], after: 'x' as ConnectionId }, [['status', 'connection_troubled']]],
  [{ status: 'needs_user' }, [['status', 'connection_lapsing']]],
  [{ reason: ['client'] }, [['status', 'connection_troubled']]],
  [
    { status: 'in_doubt', provider: 'p' as ProviderId },
    [
      ['status', 'connection_troubled'],
      ['provider', 'connection_of_provider'],
    ],
  ],
  [
    { status: 'needs_user', labels: { team: 'blue' } },
    [
      ['label in trouble', 'label_troubled'],
      ['status', 'connection_troubled'],
      ['label', 'label_value'],
    ],
  ],
  [
    { labels: { team: 'blue', tier: '1' } },
    [
      ['label', 'label_value'],
      ['label', 'label_value'],
    ],
  ],
  [
    { provider: 'p' as ProviderId, subject: 'alice' },
    [
      ['subject', 'connection_subject'],
      ['provider', 'connection_of_provider'],
    ],
  ],
  [{ sessionId: 's' }, [['session', 'connection_session']]],
  [
    { search: 'dealer' },
    [
      ['search', 'connection_living'],
      ['living', 'connection_living'],
    ],
  ],
  [
    { search: 'dealer' },
    [
      ['search', 'connection_subject'],
      ['living', 'connection_living'],
    ],
  ],
  [
    { search: 'dealer' },
    [
      ['search', 'label_of_any_name'],
      ['living', 'connection_living'],
    ],
  ],
]

for (const [query, sources] of LISTS) {
  test(`a list of ${JSON.stringify(query)} walks ${sources.map(([, index]) => index).join(', or ')}`, async () => {
    const { everyStep, end } = await planner()
    const walk = WALK.walk({ limit: 10, ...query }, 0 as UnixMs)
    assert.deepEqual(
      walk?.sources.map(({ name }) => name),
      sources.map(([name]) => name),
    )
    for (const [at, source] of (walk?.sources ?? []).entries()) {
      const index = sources[at]?.[1] ?? ''
      const stretch = { after: '', most: 10 }
      for (const { text } of [walk?.measure(source, stretch), walk?.look(source, stretch)].map(
        (page) => page ?? assert.fail(),
      )) {
        const steps = everyStep(text)
        assert.ok(
          steps.some((step) => step.startsWith('SEARCH') && step.includes(` ${index} `)),
          steps.join('\n'),
        )
        // What a limit let through, and no table.
        const walked = steps.filter(
          (step) => step.startsWith('SCAN') && !/^SCAN (m|k|u|r|s)$|^SCAN \(subquery/.test(step),
        )
        assert.deepEqual(walked, [], steps.join('\n'))
      }
    }
    const steps = everyStep(walk?.whole(['u']).text ?? '')
    assert.ok(steps.includes('SEARCH c USING INDEX sqlite_autoindex_connection_1 (uid=?)'), steps.join('\n'))
    assert.deepEqual(
      steps.filter((step) => step.startsWith('SCAN')),
      ['SCAN j VIRTUAL TABLE INDEX 1:'],
    )
    await end()
  })
}

test('how many begin with a text is counted by two short ranges', async () => {
  const { plan, end } = await planner()
  const steps = plan(WALK.measureSearch('dealer', 10).text)
  assert.deepEqual(steps, [
    'SEARCH c USING COVERING INDEX connection_subject (subject>? AND subject<?)',
    'SEARCH l USING COVERING INDEX label_of_any_name (value>? AND value<?)',
  ])
  await end()
})

/** Every text that counts, with the index that it walks. What is walked outside of it are its few results, and short lists. */
function overviewTexts(queries: OverviewQueries): readonly (readonly [string, string, string])[] {
  const [now, until] = [0 as UnixMs, 1 as UnixMs]
  const from = { after: '', most: 10 }
  const labels = { team: 'blue', tier: '1' }
  return [
    ['labelled', queries.labelled(labels, from).text, 'label_value'],
    ...TROUBLES.map((each) => [each, queries.troubled(each, {}, now, from).text, 'connection_troubled'] as const),
    ...TROUBLES.map((each) => [each, queries.troubledInAll(each, from).text, 'connection_troubled'] as const),
    ['in doubt, labelled', queries.troubled('in_doubt', labels, now, from).text, 'label_troubled'],
    ['lapsing, labelled', queries.troubled('lapsing', labels, now, from).text, 'label_troubled'],
    ['presenting', queries.presenting({}, 10).text, 'connection_attempt'],
    ['presenting, labelled', queries.presenting(labels, 10).text, 'connection_attempt'],
    ['lapsed', queries.lapsed(now, 10).text, 'connection_expiring'],
    ['expiring', queries.expiring({}, [now, until], 10).text, 'connection_expiring'],
    ['expiring, labelled', queries.expiring(labels, [now, until], 10).text, 'connection_expiring'],
    ['next', queries.next({}, [now, until], 10).text, 'connection_expiring'],
    ['next, labelled', queries.next(labels, [now, until], 10).text, 'connection_expiring'],
  ]
}

test('an overview walks short ranges of indexes made for it, and sorts no more than it looks at', async () => {
  const { everyStep, end } = await planner()
  for (const [name, text, index] of overviewTexts(OVERVIEW)) {
    const steps = everyStep(text)
    assert.ok(
      steps.some((step) => step.startsWith('SEARCH') && step.includes(` ${index} `)),
      `${name}: ${steps.join('\n')}`,
    )
    const walked = steps.filter((step) => step.startsWith('SCAN') && !/^SCAN (s|c)$/.test(step))
    assert.deepEqual(walked, [], name)
    // Groups, of what the limit lets through.
    assert.ok(steps.filter((step) => step.includes('TEMP B-TREE')).length <= 1, `${name}: ${steps.join('\n')}`)
  }
  assert.ok(
    everyStep(OVERVIEW.troubled('in_doubt', {}, 0 as UnixMs, { after: '', most: 1 }).text).some((step) =>
      step.includes('COVERING INDEX connection_troubled'),
    ),
  )
  assert.deepEqual(everyStep(OVERVIEW.totals), ['SCAN connection_total'], 'one row for each provider')
  await end()
})

const { apiKeys, addApiKey, addToken, putSource, putIdentity, ...others } = CALLER_STATEMENTS

for (const [name, text] of Object.entries(RECEIVED_EVENT_STATEMENTS).filter(([each]) => each !== 'add')) {
  test(`of received events, ${name} finds its rows by an index`, async () => {
    const { everyStep, end } = await planner()
    const steps = everyStep(text).filter((step) => /^(SCAN|SEARCH)/.test(step))
    // What the inner query finds is a short list, and is walked.
    assert.ok(steps.length > 0 && steps.every((step) => !/^SCAN received_event(?! USING)/.test(step)), steps.join('\n'))
    await end()
  })
}

for (const [name, text] of Object.entries(others)) {
  test(`of callers, ${name} finds its rows by an index in every table`, async () => {
    const { everyStep, end } = await planner()
    const steps = everyStep(text)
    const walked = steps.filter((step) => step.startsWith('SCAN') && !step.startsWith('SCAN j VIRTUAL TABLE'))
    assert.deepEqual(walked, [], 'only the labels that were given are walked')
    assert.ok(steps.some((step) => step.startsWith('SEARCH')))
    await end()
  })
}

test('of connect sessions, everything is found by an index', async () => {
  const { everyStep, end } = await planner()
  const { add, ...others } = CONNECT_SESSION_STATEMENTS
  for (const [name, text] of Object.entries(others)) {
    const steps = everyStep(text)
    assert.ok(steps.length > 0 && steps.every((step) => step.startsWith('SEARCH')), `${name}: ${steps.join('\n')}`)
  }
  assert.deepEqual(everyStep(add), [])
  await end()
})

test('of recorded events, a page walks one index in its order, however many there are', async () => {
  const { everyStep, end } = await planner()
  const connection = 'a' as ConnectionId
  for (const [query, step] of [
    [{}, 'SEARCH event USING INTEGER PRIMARY KEY (rowid>?)'],
    [{ newestFirst: true }, 'SEARCH event USING INTEGER PRIMARY KEY (rowid<?)'],
    [{ notableOnly: true }, 'SEARCH event USING INDEX event_notable (position>?)'],
    [{ notableOnly: true, newestFirst: true }, 'SEARCH event USING INDEX event_notable (position<?)'],
    [{ connection }, 'SEARCH event USING INDEX event_of_connection (connection=? AND position>?)'],
    [
      { connection, notableOnly: true, newestFirst: true },
      'SEARCH event USING INDEX event_of_connection (connection=? AND position<?)',
    ],
  ] as const) {
    const all = { from: null, newestFirst: false, notableOnly: false, connection: null, limit: 10 }
    assert.deepEqual(everyStep(eventQuery('event', { ...all, ...query }).text), [step], JSON.stringify(query))
  }
  await end()
})

test('of recorded events, everything else is found by an index', async () => {
  const { everyStep, end } = await planner()
  const { record, newest, ...others } = EVENT_STATEMENTS
  for (const [name, text] of Object.entries(others)) {
    const steps = everyStep(text)
    assert.ok(steps.length > 0 && steps.every((step) => step.startsWith('SEARCH')), `${name}: ${steps.join('\n')}`)
  }
  assert.deepEqual(everyStep(record), [])
  assert.deepEqual(everyStep(newest), ['SCAN sqlite_sequence'], 'a row for each table that counts')
  await end()
})

test('of sessions of the page, everything is found by an index', async () => {
  const { everyStep, end } = await planner()
  const { add, ...others } = PAGE_SESSION_STATEMENTS
  for (const [name, text] of Object.entries(others)) {
    const steps = everyStep(text).filter((step) => /^(SCAN|SEARCH)/.test(step))
    assert.ok(steps.length > 0 && steps.every((step) => step.startsWith('SEARCH')), `${name}: ${steps.join('\n')}`)
  }
  assert.deepEqual(everyStep(add), [])
  await end()
})

test('of callers, a list of keys walks the keys and looks each one up in their sources and identities', async () => {
  const { everyStep, end } = await planner()
  assert.deepEqual(
    everyStep(apiKeys).filter((step) => /^(SCAN|SEARCH)/.test(step)),
    [
      'SCAN k',
      'SEARCH s USING PRIMARY KEY (api_key=?)',
      'SEARCH i USING INDEX api_key_identity_of_api_key (api_key=?)',
    ],
  )
  await end()
})

test('of callers, what writes a new row looks at nothing', async () => {
  const { everyStep, end } = await planner()
  for (const text of [addApiKey, addToken, putSource, putIdentity]) assert.deepEqual(everyStep(text), [])
  await end()
})

test('whether a limited key sees a connection is asked of the labels alone, so that no answer is quicker than another', async () => {
  const { everyStep, end } = await planner()
  assert.deepEqual(everyStep(CALLER_STATEMENTS.labelled), [
    'SCAN j VIRTUAL TABLE INDEX 1:',
    'SEARCH l USING COVERING INDEX label_value (name=? AND value=? AND id=?) LEFT-JOIN',
  ])
  await end()
})

test('pages of hand-outs and steps of refreshes walk an index in its order, and what is over is found by it', async () => {
  const { everyStep, end } = await planner()
  for (const [name, step] of [
    ['handOuts', /SEARCH handout_minute USING PRIMARY KEY \(minute>\? AND minute<\?\)/],
    ['handOutsBehind', /SEARCH handout_minute USING PRIMARY KEY \(minute>\? AND .*minute.*<.*\)/],
    ['handOutsOf', /SEARCH handout_minute USING (?:COVERING )?INDEX handout_minute_of_connection \(uid=\? AND minute>/],
    [
      'handOutsOfBehind',
      /SEARCH handout_minute USING (?:COVERING )?INDEX handout_minute_of_connection \(uid=\? AND minute>/,
    ],
    ['refreshes', /SEARCH t USING PRIMARY KEY \(minute>\? AND minute<\?\)/],
    ['forgetHandOuts', /SEARCH handout_minute USING (?:COVERING )?(?:PRIMARY KEY|INDEX \w+) \(minute</],
    ['forgetRefreshes', /SEARCH refresh_minute USING (?:COVERING )?(?:PRIMARY KEY|INDEX \w+) \(minute</],
  ] as const) {
    const steps = everyStep(MINUTE_STATEMENTS[name])
    assert.ok(
      steps.some((each) => step.test(each)),
      `${name}: ${steps.join('; ')}`,
    )
    assert.ok(!steps.some((each) => /^SCAN (?:handout_minute|refresh_minute|t)\b/.test(each)), steps.join('; '))
  }
  // The inner query is in order; only the page itself may be sorted again.
  for (const name of ['handOuts', 'handOutsBehind', 'handOutsOf', 'handOutsOfBehind'] as const)
    assert.ok(everyStep(MINUTE_STATEMENTS[name]).filter((each) => each.includes('TEMP B-TREE')).length <= 1, name)
  await end()
})

test('lines of the audit log are found by an index, in their order', async () => {
  const { everyStep, end } = await planner()
  for (const [text, index] of [
    [selectLines('audit', { subject: 'a' }), /audit_subject \(subject=\?/],
    [selectLines('audit', { actor: 'a', before: 1 }), /audit_actor \(actor=\? AND (?:rowid|no)</],
    [selectLines('audit', { after: 1 }), /INTEGER PRIMARY KEY \(rowid>\?\)/],
    [AUDIT_STATEMENTS.forget, /audit_at \(at<\?\)/],
  ] as const) {
    const steps = everyStep(text)
    assert.ok(
      steps.some((step) => index.test(step)),
      `${text}: ${steps.join('; ')}`,
    )
    assert.ok(!steps.some((step) => step.includes('TEMP B-TREE')), steps.join('; '))
  }
  await end()
})
