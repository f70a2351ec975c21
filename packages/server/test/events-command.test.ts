/** `tokenkeep events`, on a data folder and at a server. */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { openBothWays, WAYS, type BothWays, type Way } from './both-ways.ts'
import { answer, errorAnswer, type Ended } from './command.ts'

interface Page {
  readonly events: readonly { readonly type: string; readonly data: { readonly connection: string } }[]
  readonly cursor: string
  readonly more: boolean
}

suite('events by command', () => {
  let both: BothWays
  before(async () => {
    both = await openBothWays()
    await both.keep('first', ['team=blue'])
    await both.keep('second')
    answer(await both.command('folder', ['connection', 'delete', 'first', '--json']))
  })
  after(() => both.close())

  const page = async (way: Way, ...args: readonly string[]): Promise<Page> =>
    answer(await both.command(way, ['events', '--json', ...args]))
  const told = ({ events }: Page): string[] => events.map(({ type, data }) => `${type} ${data.connection}`)
  const same = async (...args: readonly string[]): Promise<Page> => {
    const [folder, server] = [await page('folder', ...args), await page('server', ...args)]
    assert.deepEqual(server, folder, args.join(' '))
    return server
  }

  test('both ways tell the same, the newest last, and whoever reads on misses nothing', async () => {
    const all = await same()
    assert.deepEqual(told(all), ['connection.created first', 'connection.created second', 'connection.revoked first'])
    assert.deepEqual(told(await same('--limit', '1')), ['connection.revoked first'])
    assert.deepEqual(told(await same('--type', 'connection.revoked', '--connection', 'first')), [
      'connection.revoked first',
    ])
    assert.deepEqual(told(await same('--label', 'team=blue', '--limit', '1')), ['connection.revoked first'])
    assert.deepEqual(told(await same('--after', '0', '--limit', '2')), told(all).slice(0, 2))
    const nothing = await same('--after', all.cursor)
    assert.deepEqual([nothing.events, nothing.more], [[], false])
  })

  test('people read one line for each', async () => {
    for (const way of WAYS) {
      const { code, out } = await both.command(way, ['events'])
      assert.equal(code, 0)
      const lines = out.trim().split('\n')
      assert.match(lines[0] ?? '', /^WHEN +EVENT +OF +WHAT$/)
      assert.match(lines[3] ?? '', /connection\.revoked +first +also at the provider$/)
    }
    assert.match((await both.command('folder', ['events', '--connection', 'nobody'])).out, /no such events/)
  })

  test('what is wrong is said, and what there is instead', async () => {
    for (const way of WAYS) {
      const refused = async (...args: readonly string[]): Promise<string> => {
        const ended: Ended = await both.command(way, ['events', '--json', ...args])
        assert.equal(ended.code, 2, ended.out)
        return errorAnswer(ended).message
      }
      assert.match(await refused('--type', 'connection.exploded'), /no type of event "connection\.exploded"; there are/)
      assert.match(await refused('--follow', '--after', '0'), /leave --after out/)
      assert.match(await refused('--limit', '1001'), /1000 at most/)
      assert.match(await refused('--after', '1-ffffffff'), /cursor is none of this database/)
    }
  })

  for (const way of WAYS) {
    test(`--follow tells what is there and then what happens, one line each (${way})`, async () => {
      const { line, child, ended } = both.start(way, ['events', '--follow', '--limit', '1', '--json'])
      const next = async (connection: string): Promise<string> => {
        const { type, data } = JSON.parse(await line((text) => text.includes(connection))) as Page['events'][number]
        return `${type} ${data.connection}`
      }
      const last = way === 'folder' ? 'first' : 'late-folder'
      assert.match(await next(`"${last}"`), new RegExp(` ${last}$`))
      await both.keep(`late-${way}`)
      assert.equal(await next(`"late-${way}"`), `connection.created late-${way}`)
      child.kill('SIGINT')
      assert.equal((await ended).code, 130)
    })
  }
})
