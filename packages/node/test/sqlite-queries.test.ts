import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ConnectionId, ListQuery, ProviderId, UnixMs } from '@tokenkeep/core'
import { CALLER_STATEMENTS } from '../src/sqlite-callers.ts'
import { RECEIVED_EVENT_STATEMENTS } from '../src/sqlite-received-events.ts'
import { CONNECT_SESSION_STATEMENTS } from '../src/sqlite-connect-sessions.ts'
import {
  SELECT_ATTEMPTS,
  SELECT_BY_ID,
  SELECT_BY_UID,
  SELECT_DUE,
  SELECT_ELSEWHERE,
  SELECT_HISTORY,
  SELECT_OTHER,
  SELECT_TOMBSTONE,
  SELECT_TWIN,
  pagesOf,
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

for (const [what, query, index] of [
  ['all', {}, 'connection_living'],
  ['of one provider', { provider: 'p' as ProviderId }, 'connection_of_provider'],
  ['in doubt', { status: 'in_doubt' }, 'connection_troubled'],
  ['blocked after a cursor', { status: 'blocked', after: 'x' as ConnectionId }, 'connection_troubled'],
  ['that present', { status: 'presenting' }, 'connection_attempt'],
  ['of a subject', { provider: 'p' as ProviderId, subject: 'alice' }, 'connection_subject'],
  ['of a session', { provider: 'p' as ProviderId, sessionId: 's' }, 'connection_session'],
  ['with a label', { labels: { team: 'blue' } }, 'label_value'],
] as const satisfies readonly (readonly [string, Partial<ListQuery>, string])[]) {
  test(`a list of those ${what} walks ${index}`, async () => {
    const { plan, end } = await planner()
    const [page] = pagesOf({ limit: 10, ...query }, 0 as UnixMs)
    assert.ok(page !== undefined)
    assert.ok(
      plan(page.text).some((step) => step.includes(index)),
      plan(page.text).join('\n'),
    )
    await end()
  })
}

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
