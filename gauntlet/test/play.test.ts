import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import process from 'node:process'
import test from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { PEERS, whyNot } from '../peers.ts'
import { play } from '../play.ts'
import type { Row, Scenario } from '../scenario.ts'
import { ENDED_MS } from '../stage.ts'

const CALL_LIMIT_MS = 1_000

/** Two processes ask for three logins whose tokens have ended, one after the other or at once. */
const asked = (order: 'one_after_another' | 'at_once'): Scenario => ({
  name: 'asked',
  title: 'asked',
  about: '',
  limitSeconds: 60,
  async play(stage) {
    await stage.set({ accessTokenSeconds: 2 })
    const processes = await stage.start(2)
    const ids = await stage.signIn(3, ENDED_MS)
    const callings = processes.map((by) => ({ by, ids }))
    if (order === 'at_once') return stage.call(callings)
    for (const calling of callings) await stage.call([calling])
  },
})

const playFake = (behaviour: string, scenario = asked('one_after_another')): Promise<Row> =>
  play(scenario, behaviour, {
    driver: new URL(`fake-driver.ts?${behaviour}`, import.meta.url),
    postgres: null,
    callLimitMs: CALL_LIMIT_MS,
    startLimitMs: 5_000,
    lastTriesMs: 0,
  })

test('a driver that refreshes once and shares what it got loses nothing', async () => {
  const { counts, remark } = await playFake('works')
  assert.deepEqual(counts, {
    expiries: 3,
    refreshes: 3,
    secondPresentations: 0,
    logins: 3,
    killed: 0,
    lost: 0,
    calls: 6,
    bad: 0,
    out: [],
  })
  assert.equal(remark, '')
})

test('the same driver in two processes at once loses all', async () => {
  const { counts } = await playFake('works', asked('at_once'))
  assert.equal(counts?.secondPresentations, 3)
  assert.equal(counts.killed, 3)
  assert.equal(counts.lost, 3)
  assert.equal(counts.bad, 6)
})

test('of many logins 50 are asked for at once, and what the scenario has to say is in the row', async () => {
  const many: Scenario = {
    ...asked('at_once'),
    async play(stage) {
      await stage.set({ accessTokenSeconds: 2 })
      const [by] = await stage.start(1)
      if (by === undefined) return
      await stage.callEach(by, await stage.signIn(120, ENDED_MS))
      stage.note('120 of them')
    },
  }
  const { counts, remark } = await playFake('takes_few_callers', many)
  assert.deepEqual([counts?.calls, counts?.bad, counts?.refreshes, counts?.lost], [120, 0, 120, 0])
  assert.equal(remark, '120 of them')
})

test('a refresh that a driver needs to take a login at all is not counted', async () => {
  const { counts } = await playFake('presents_at_once')
  assert.deepEqual([counts?.refreshes, counts?.bad, counts?.lost], [0, 0, 0])
})

test('a peer that is not installed, or left out of a scenario, is said to be', () => {
  const [some] = PEERS
  assert.ok(some)
  const missing = { ...some, program: { name: 'no-program-of-this-name', install: 'by hand' } }
  assert.equal(whyNot(missing, 'instant'), 'not installed: by hand')
  const unfit = { ...some, leftOut: { sessions: 'it would take hours' } }
  assert.equal(whyNot(unfit, 'sessions'), 'it would take hours')
  assert.equal(whyNot(unfit, 'instant'), null)
})

test('a driver whose calls never end has bad calls and lost logins in its row', async () => {
  const { counts, remark } = await playFake('hangs')
  assert.equal(counts?.bad, 6)
  assert.equal(counts.lost, 3)
  assert.match(remark, /^6 no answer within 1 s$/)
})

test('a driver that hands out a token that nobody issued is found out', async () => {
  const { counts, remark } = await playFake('lies')
  assert.equal(counts?.bad, 6)
  assert.equal(counts.lost, 3)
  assert.equal(counts.killed, 0)
  assert.equal(remark, '6 the API refuses the token')
})

test('a driver that hands out nothing at all is found out', async () => {
  const { counts, remark } = await playFake('hands_out_nothing')
  assert.equal(counts?.bad, 6)
  assert.equal(remark, '6 a token that is no text')
})

test('a driver whose process ends is said to, and has no numbers', async () => {
  const { counts, remark } = await playFake('crashes')
  assert.equal(counts, null)
  assert.match(remark, /its process ended \(exit code 7\)/)
})

test('a driver that hangs when it is started is said to', async () => {
  const { counts, remark } = await playFake('hangs_at_start')
  assert.equal(counts, null)
  assert.match(remark, /it hangs: no end of "start" within 5 s/)
})

test('a driver that cannot be loaded is said to be', async () => {
  const { counts, remark } = await play(asked('at_once'), 'missing', {
    driver: new URL('no-such-driver.ts', import.meta.url),
    postgres: null,
  })
  assert.equal(counts, null)
  assert.match(remark, /its process ended \(exit code 1\).*ERR_MODULE_NOT_FOUND/)
})

test('unknown names of scenarios and peers are refused with those that exist', async () => {
  const run = (...args: readonly string[]): Promise<unknown> =>
    promisify(execFile)(
      process.execPath,
      ['--conditions=tokenkeep-source', fileURLToPath(new URL('../run.ts', import.meta.url)), ...args],
      { timeout: 30_000 },
    )
  await assert.rejects(run('--only', 'nothing'), {
    code: 2,
    stderr: /no scenario is called nothing; there are: instant; /,
  })
  await assert.rejects(run('--peer', 'nobody'), {
    code: 2,
    stderr: /no peer is called nobody; there are: Tokenkeep, SQLite; /,
  })
  await assert.rejects(run('--at-once', '99'), { code: 2, stderr: /from 1 to 16/ })
  await assert.rejects(run('--faster'), { code: 2 })
})
