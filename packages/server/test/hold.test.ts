/** A server on a database that was restored: what lives is served, no login is given up, and one call ends it. */
import assert from 'node:assert/strict'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { openTokenkeep, type Coordination } from '@tokenkeep/node'
import { openApiWorld, type ApiServer, type ApiWorld } from './api-world.ts'
import { commandHere } from './command-here.ts'
import { asClient, REALM, type ServedKey } from './served-world.ts'

const TOKEN = `/realms/${REALM}/protocol/openid-connect/token`

async function refresh(server: ApiServer, key: ServedKey, refreshToken: string): Promise<string> {
  const form = { grant_type: 'refresh_token', refresh_token: refreshToken, ...asClient(key) }
  const { status, text } = await server.send({
    method: 'POST',
    target: TOKEN,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams(form).toString(),
  })
  return `${status} ${(JSON.parse(text) as { error?: string }).error ?? 'ok'}`
}

const codeIn = ({ status, text }: { status: number; text: string }): string =>
  `${status} ${(JSON.parse(text) as { code?: string }).code ?? 'ok'}`

/** A server on a backup of the world's database. */
async function restored(api: ApiWorld) {
  const file = join(api.folder, 'data', 'restored', 'tokenkeep.db')
  await mkdir(join(api.folder, 'data', 'restored'))
  await api.keep.backUp(file)
  const keyFile = join(api.folder, 'config', 'test.key')
  const keep = await openTokenkeep({ path: file, keyFile, background: false })
  return { keep, server: await api.serve({}, { keep }), folder: join(api.folder, 'data', 'restored'), keyFile }
}

test('a server on a restored database serves what lives, says that it is on hold, and gives up no login', async () => {
  await using api = await openApiWorld()
  const { world } = api
  await world.connect('living')
  await world.connectExpired('ended')
  const key = await world.makeKey()
  const [living, ended] = [await world.share('living', key), await world.share('ended', key)]
  const { keep, server } = await restored(api)
  // Made after the backup: the restored database cannot know it.
  const newer = await world.share('living', key)

  assert.match((await server.send({ target: '/readyz' })).text, /^hold: .*tokenkeep adopt/)
  assert.equal((await api.send({ target: '/readyz' })).text, 'ready\n')
  assert.equal(codeIn(await server.ask('getToken', { ids: { id: 'living' } })), '200 ok')
  const refused = await server.ask('getToken', { ids: { id: 'ended' } })
  assert.equal(codeIn(refused), '503 on_hold')
  assert.ok(refused.headers['retry-after'] !== undefined)
  assert.equal(codeIn(await server.ask('deleteConnection', { ids: { id: 'living' } })), '503 on_hold')
  assert.deepEqual(
    [await refresh(server, key, living), await refresh(server, key, ended), await refresh(server, key, newer)],
    ['200 ok', '503 temporarily_unavailable', '503 temporarily_unavailable'],
  )
  const { hold } = JSON.parse((await server.ask('getIncarnation')).text) as { hold: { because: string } }
  assert.equal(hold.because, 'backup')

  const adopted = JSON.parse((await server.ask('adopt')).text) as { was_on_hold: boolean; in_doubt: number }
  assert.deepEqual([adopted.was_on_hold, adopted.in_doubt], [true, 2])
  assert.equal((await server.send({ target: '/readyz' })).text, 'ready\n')
  assert.equal(await refresh(server, key, newer), '400 invalid_grant', 'the control: now it is known to be unknown')
  await keep.close()
})

test('a command that asks a server hears of its hold, and ends it there', async () => {
  await using api = await openApiWorld()
  await api.world.connect('living')
  await api.world.connectExpired('ended')
  const { keep, server } = await restored(api)
  const environment = { TOKENKEEP_API_KEY: api.world.admin.key }
  const on = (...args: readonly string[]) =>
    commandHere([...args, '--url', server.url], { terminal: true, environment })
  for (const args of [['list'], ['show', 'living']]) {
    assert.match((await on('connection', ...args)).err, /on hold: this database was restored from a backup/)
  }
  const adopted = await on('adopt', '--json')
  assert.deepEqual([adopted.code, JSON.parse(adopted.out)], [0, { wasOnHold: true, inDoubt: 2 }])
  assert.equal((await keep.incarnation()).hold, null)
  assert.equal((await server.send({ target: '/readyz' })).text, 'ready\n')
  const again = await on('adopt', '--json')
  assert.deepEqual([again.code, JSON.parse(again.out)], [0, { wasOnHold: false, inDoubt: 0 }])
  for (const args of [['list'], ['show', 'living']]) assert.equal((await on('connection', ...args)).err, '')
  await keep.close()
})

test('the command says in one line that a database is on hold, and ends that', async () => {
  await using api = await openApiWorld()
  await api.world.connect('living')
  const { keep, folder, keyFile } = await restored(api)
  await keep.close()
  const on = (...args: readonly string[]) =>
    commandHere([...args, '--data', folder, '--key-file', keyFile], { terminal: true })
  assert.match(
    (await on('connection', 'list')).err,
    /on hold: this database was restored from a backup.*tokenkeep adopt/,
  )
  assert.match((await on('connection', 'show', 'living')).err, /on hold: .*restored from a backup.*tokenkeep adopt/)
  const { code, out } = await on('adopt', '--json')
  assert.deepEqual([code, JSON.parse(out)], [0, { wasOnHold: true, inDoubt: 1 }])
  assert.equal((await on('connection', 'list')).err, '')
  assert.equal((await on('connection', 'show', 'living')).err, '')
  assert.match((await on('adopt')).out, /not on hold; nothing was changed/)
  const rotated = await on('master-key', 'rotate', '--json')
  assert.equal(rotated.code, 0)
  const { name: rotatedTo } = JSON.parse(rotated.out) as { name: string }
  const keys = JSON.parse((await on('master-key', 'list', '--json')).out) as readonly { name: string; sealed: number }[]
  assert.deepEqual(
    keys.map(({ name, sealed }) => [name, sealed > 0]),
    [
      [rotatedTo, true],
      ['first', false],
    ],
  )
  const added = await on('master-key', 'add', '--json')
  const { name: addedName } = JSON.parse(added.out) as { name: string }
  assert.match((await on('master-key', 'rotate', addedName)).out, new RegExp(`${addedName} seals from now on; [1-9]`))
  const backup = join(folder, 'again.db')
  assert.equal((await on('backup', backup)).code, 0)
  assert.equal((await on('backup', backup)).code, 2)
})

test('a server says by what it cannot hear of other hosts, and is ready all the same', async () => {
  await using api = await openApiWorld()
  const short = async (coordination: Coordination): Promise<string> => {
    const keep = { ...api.keep, coordination: () => coordination }
    const answer = await (await api.serve({}, { keep })).send({ target: '/readyz' })
    assert.equal(answer.status, 200)
    return answer.text
  }
  const pooled = await short({ hearsCommits: false, seesLocks: false, behindPooler: true })
  assert.match(pooled, /^ready\npolling: a pooler is between .*\ntimer only: a pooler is between .*lease is over\n$/)
  const foreign = await short({ hearsCommits: true, seesLocks: false, behindPooler: false })
  assert.match(foreign, /^ready\ntimer only: Postgres does not show it .*\n$/)
})
