import assert from 'node:assert/strict'
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { test } from 'node:test'
import { DatabaseSync } from 'node:sqlite'
import { spawnDevserver, startDevserver, type SpawnedDevserver } from '../src/index.ts'
import {
  CLIENT,
  openTrial,
  OWN_CREDENTIALS,
  replyOf,
  temporaryFolder,
  text,
  trialAt,
  type TokenReply,
} from './trial.ts'

test('after a restart everything goes on: sessions, keys, clients, settings, counters, totals', async (t) => {
  const stateFile = join(temporaryFolder(t), 'deep', 'state.db')
  const first = await openTrial(t, { rotation: { kind: 'counted', reuses: 1 }, accessTokenSeconds: 77 }, stateFile)
  const session = await first.seed()
  const reply = await first.refresh(session.refreshToken)
  await first.offers(session.accessToken)
  const before = await first.counters(session.sessionId)
  const { port } = new URL(first.devserver.origin)
  const certs = `${first.devserver.issuer('external')}/protocol/openid-connect/certs`
  const keys = await (await fetch(certs)).json()
  await first.devserver.close()

  await sleep(20) // Lets fetch notice that its kept connections are closed, before it uses one for the new server.
  await using devserver = await startDevserver({ stateFile, port: Number(port) })
  const second = trialAt(devserver)
  assert.deepEqual(await second.counters(session.sessionId), before)
  assert.equal((await devserver.control.totals()).demoApi.requests, 1)
  assert.deepEqual(await (await fetch(certs)).json(), keys)
  assert.equal((await second.offers(session.accessToken)).status, 200)
  const again = await second.refresh(session.refreshToken)
  assert.deepEqual([again.status, again.body['expires_in']], [200, 77])
  assert.equal((await second.refresh(text(reply, 'refresh_token'))).status, 200)
  assert.equal((await second.refresh(session.refreshToken)).status, 400)
  assert.equal((await second.counters(session.sessionId)).killedBecause, 'reuse')
})

test('options given at a restart win over what is stored, and leave the rest', async (t) => {
  const stateFile = join(temporaryFolder(t), 'state.db')
  const first = await openTrial(t, { accessTokenSeconds: 77, refreshTokenSeconds: 0 }, stateFile)
  const session = await first.seed()
  await first.devserver.close()
  await using devserver = await startDevserver({ stateFile, realms: [{ name: 'external', accessTokenSeconds: 5 }] })
  const reply = await trialAt(devserver).refresh(session.refreshToken)
  assert.deepEqual([reply.body['expires_in'], reply.body['refresh_expires_in']], [5, 0])
})

test('a repeated answer is the same after a restart, and the state file holds no token', async (t) => {
  const folder = temporaryFolder(t)
  const stateFile = join(folder, 'state.db')
  const first = await openTrial(t, { rotation: { kind: 'grace', seconds: 60, winner: 'same' } }, stateFile)
  const session = await first.seed()
  const reply = await first.refresh(session.refreshToken)
  await first.devserver.close()
  await using devserver = await startDevserver({ stateFile })
  const repeated = await trialAt(devserver).refresh(session.refreshToken)
  assert.equal(text(repeated, 'refresh_token'), text(reply, 'refresh_token'))

  const bytes = readdirSync(folder).map((file) => readFileSync(join(folder, file)))
  const tokens = [session.refreshToken, session.accessToken, text(reply, 'refresh_token'), text(reply, 'access_token')]
  for (const token of tokens)
    assert.equal(
      bytes.some((it) => it.includes(token)),
      false,
    )
  assert.equal(statSync(stateFile).mode & 0o077, 0)
})

test('killed at any moment, a rotation that was answered is there, and one that was not is whole or absent', async (t) => {
  const stateFile = join(temporaryFolder(t), 'state.db')
  let committedButUnanswered = 0
  for (let round = 0; round < 4; round++) {
    const victim = await spawnDevserver({ stateFile, realms: [{ name: 'external', clients: [CLIENT] }] })
    const { sessionId, refreshToken } = await victim.control.seedSession('external', { clientId: 'app' })
    const { promise: begun, resolve: begin } = Promise.withResolvers<void>()
    const rotating = rotateUntilDead(victim, refreshToken ?? '', begin)
    await begun // However busy this machine is.
    await sleep(15 + 23 * round)
    await victim.kill()
    const { newest, answered } = await rotating
    assert.ok(answered > 0)

    await using devserver = await startDevserver({ stateFile })
    const trial = trialAt(devserver)
    const counters = await trial.counters(sessionId)
    assert.ok(counters.refreshes === answered || counters.refreshes === answered + 1, 'an answered rotation was lost')
    const lost = counters.refreshes - answered
    committedButUnanswered += lost
    const next = await trial.refresh(newest)
    assert.equal(next.status, lost === 0 ? 200 : 400)
    if (lost === 1) assert.equal((await trial.counters(sessionId)).killedBecause, 'reuse')
  }
  t.diagnostic(`${committedButUnanswered} of 4 kills fell between commit and answer`)
})

async function rotateUntilDead(
  devserver: SpawnedDevserver,
  first: string,
  begin: () => void,
): Promise<{ newest: string; answered: number }> {
  let newest = first
  for (let answered = 0; ; answered++) {
    const form = { grant_type: 'refresh_token', ...OWN_CREDENTIALS, refresh_token: newest }
    let reply: TokenReply
    try {
      const request = { method: 'POST', body: new URLSearchParams(form) }
      reply = await replyOf(await fetch(devserver.tokenEndpoint('external'), request))
    } catch {
      return { newest, answered }
    }
    newest = text(reply, 'refresh_token')
    begin()
  }
}

test('a state file that another devserver holds is refused, and free again after its end', async (t) => {
  const stateFile = join(temporaryFolder(t), 'state.db')
  const holder = await startDevserver({ stateFile })
  await assert.rejects(startDevserver({ stateFile }), { name: 'StateUnusable', message: /in use by another devserver/ })
  await holder.close()
  await using next = await startDevserver({ stateFile })
  assert.ok(next.origin)
})

test('a newer state file, and a file that is no state, are refused untouched', async (t) => {
  const folder = temporaryFolder(t)
  const newer = join(folder, 'newer.db')
  const database = new DatabaseSync(newer)
  database.exec('PRAGMA user_version = 99')
  database.close()
  await assert.rejects(startDevserver({ stateFile: newer }), {
    name: 'StateUnusable',
    message: /newer devserver \(version 99/,
  })
  const foreign = join(folder, 'notes.txt')
  writeFileSync(foreign, 'Not a database, but a page of notes. '.repeat(100))
  const content = readFileSync(foreign)
  await assert.rejects(startDevserver({ stateFile: foreign }), {
    name: 'StateUnusable',
    message: /not a devserver's state/,
  })
  assert.deepEqual(readFileSync(foreign), content)
  await assert.rejects(startDevserver({ stateFile: join(foreign, 'state.db') }), {
    name: 'StateUnusable',
    message: /writable/,
  })
})
