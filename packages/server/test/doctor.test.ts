/** `tokenkeep doctor` on an installation with a real authorization server, mended and damaged. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { chmodSync, copyFileSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { after, before, suite, test } from 'node:test'
import { assertSaysNone, doctor } from './doctor-world.ts'
import { commandHere } from './command-here.ts'
import { openInstallation, REALM, type Installation } from './installation.ts'

suite('tokenkeep doctor', () => {
  let here: Installation
  before(async () => {
    here = await openInstallation()
    await here.importSignIn('dealer-42')
    await here.importSignIn('dealer-43')
  })
  after(() => here[Symbol.asyncDispose]())

  const database = (): string => join(here.host.data, 'tokenkeep.db')
  /** Does something to the database, and undoes it afterwards. */
  const changed = async (sql: string, undo: string, then: () => Promise<void>): Promise<void> => {
    const run = (text: string): void => {
      const opened = new DatabaseSync(database())
      opened.exec(text)
      opened.close()
    }
    run(sql)
    try {
      await then()
    } finally {
      run(undo)
    }
  }

  test('where all is well it says so, ends with 0, and has presented no refresh token and changed nothing', async () => {
    const before = readFileSync(database())
    const presented = (await here.provider.control.totals()).token.requests
    const { code, wrong, the } = await doctor(here)
    assert.deepEqual([code, wrong], [0, 0])
    for (const fine of ['program', 'configuration', 'key', 'key_opens', 'folder', 'database', 'clock'] as const)
      assert.equal(the(fine).is, 'ok')
    assert.match(the('client').says, /^app: taken at the introspection endpoint of ext/)
    assert.match(the('connections').says, /^2 connections are kept, none of them in trouble$/)
    assert.equal(the('database_read_through').is, 'ok')
    assert.equal((await here.provider.control.totals()).token.requests, presented)
    assert.equal((await here.provider.control.totals()).introspect.requests, 1)
    assert.deepEqual(readFileSync(database()), before)
  })

  test('people read short lines, grouped, with what to do beneath', async () => {
    const { out, code } = await commandHere(['doctor'], {
      folder: here.desk.folder,
      environment: { ...here.desk.environment, ...here.environmentOf(), TOKENKEEP_PORT: '1', TOKENKEEP_COLOUR: 'x' },
    })
    assert.equal(code, 0)
    assert.match(out, /^Program\n {2}ok {5}Tokenkeep /)
    assert.match(out, /\n {2}note {3}nobody reads the variable TOKENKEEP_COLOUR\n {9}-> Look for a slip/)
    assert.match(out, /\n0 things are wrong, 2 notes, \d+ as they should be\n$/)
    const long = out.split('\n').filter((line) => line.length > 80 && line.trim().includes(' '))
    assert.deepEqual(long, [])
    assertSaysNone({ out, err: '' }, [...here.secrets])
  })

  test('a client whose secret the provider has changed is refused, and its connections are unhurt', async () => {
    await here.provider.control.rotateClientSecret(REALM, 'app', 'canary-other-secret')
    try {
      const { code, wrongCodes, the } = await doctor(here)
      assert.deepEqual([code, wrongCodes], [6, ['client_refused']])
      assert.match(the('client_refused').says, /^app: ext refuses it at its revocation endpoint: 401 invalid_client$/)
      assert.match(the('connections').says, /none of them in trouble$/)
    } finally {
      await here.provider.control.rotateClientSecret(REALM, 'app', 'canary-client-secret')
    }
  })

  test('offline nobody is asked, and that is said', async () => {
    const { requests } = here.provider.control
    const before = (await requests()).length
    const { code, the, has } = await doctor(here, ['--offline'])
    assert.equal(code, 0)
    assert.match(the('client_offline').says, /was not asked/)
    assert.match(the('clock_alone').todo ?? '', /without --offline/)
    assert.ok(!has('provider') && !has('server_silent'))
    assert.equal((await requests()).length, before)
  })

  test('all mistakes in the settings of `serve` are told, and the data are looked at all the same', async () => {
    const settings = join(here.desk.folder, 'serve.json')
    writeFileSync(settings, JSON.stringify({ port: 'seven', bodyBytesMx: 1, masterKey: 'canary-in-a-file' }))
    const found = await doctor(here, ['--offline', '--config', settings, '--log-level', 'loud'])
    const mistakes = found.findings.filter(({ code }) => code === 'configuration_mistake').map(({ says }) => says)
    assert.equal(mistakes.length, 4)
    assert.match(mistakes.join('\n'), /"port".*whole number/)
    assert.match(mistakes.join('\n'), /--log-level must be one of/)
    assert.ok(found.has('database') && found.has('key_opens'))
    assert.ok(!JSON.stringify(found.findings).includes('canary'))
  })

  test('where the place of the data is mistaken, no other data are looked at', async () => {
    const found = await doctor(here, ['--offline', '--config', join(here.desk.folder, 'no-such.json')])
    assert.deepEqual(found.wrongCodes, ['configuration_mistake', 'place_unclear'])
    assert.ok(!found.has('database') && !found.has('database_missing'))
    const two = await doctor(here, ['--offline', '--data', here.host.data], { TOKENKEEP_DATABASE: 'postgres://db/x' })
    assert.match(two.the('place_unclear').says, /TOKENKEEP_DATABASE names a database, and --data a folder/)
  })

  test('plain http beyond this machine, and a certificate that is about to end, are told', async () => {
    const open = await doctor(here, ['--offline', '--host', '0.0.0.0', '--allowed-host', 'keep.example.org'])
    assert.deepEqual(open.wrongCodes, ['plain_http'])
    const named = ['--host', '0.0.0.0', '--public-url', 'http://keep.example.org']
    assert.deepEqual((await doctor(here, ['--offline', ...named])).wrongCodes, ['plain_http'])
    const proxied = ['--host', '0.0.0.0', '--public-url', 'https://keep.example.org']
    assert.deepEqual((await doctor(here, ['--offline', ...proxied])).wrongCodes, [])
  })

  test('a key file that others can read, that is damaged, gone, or of another database: each in its own words', async () => {
    const { keyFile } = here.host
    const kept = readFileSync(keyFile, 'utf8')
    const withKey = async (text: string | null, mode = 0o600) => {
      rmSync(keyFile)
      if (text !== null) writeFileSync(keyFile, text, { mode })
      if (text !== null) chmodSync(keyFile, mode)
      try {
        return await doctor(here, ['--offline'])
      } finally {
        rmSync(keyFile, { force: true })
        writeFileSync(keyFile, kept, { mode: 0o600 })
      }
    }
    const open = await withKey(kept, 0o644)
    assert.match(open.the('key_unusable').says, /can be read or written by other users \(mode 644\)/)
    // Without a key the secret of the client does not open either.
    assert.deepEqual(open.wrongCodes, ['key_unusable', 'client_locked'])
    const damaged = await withKey(kept.replace(/^key .*$/m, 'key first canary-no-key'))
    assert.match(damaged.the('key_unusable').says, /line \d+: a key is 32 bytes/)
    assert.match((await withKey(null)).the('key_missing').says, /does not exist/)
    const other = join(here.desk.folder, 'other')
    const made = ['provider', 'add', 'p', '--token-endpoint', 'https://id.example.org/token']
    const place = ['--data', other, '--key-file', join(other, '..', 'other.key')]
    assert.equal((await commandHere([...made, ...place], { environment: here.desk.environment })).code, 0)
    const foreign = await withKey(readFileSync(join(here.desk.folder, 'other.key'), 'utf8'))
    assert.match(foreign.the('key_of_other_database').says, /is not the one that .* was made with/)
  })

  test('TOKENKEEP_KEY that is none is told without its value; beside a key file it does not count', async () => {
    const without = { TOKENKEEP_KEY_FILE: '', TOKENKEEP_KEY: 'canary-malformed' }
    const found = await doctor(here, ['--offline'], without)
    assert.match(found.the('key_unusable').says, /the variable TOKENKEEP_KEY: a key is 32 bytes/)
    assert.ok(!JSON.stringify(found.findings).includes('canary'))
    const both = await doctor(here, ['--offline'], { TOKENKEEP_KEY: 'canary-malformed' })
    assert.deepEqual([both.code, both.the('key_variable_not_used').is], [0, 'note'])
  })

  test('a key inside of the data folder is refused as at a start', async () => {
    const inside = join(here.host.data, 'inside.key')
    copyFileSync(here.host.keyFile, inside)
    const found = await doctor(here, ['--offline', '--key-file', inside])
    rmSync(inside)
    assert.match(found.the('key_below_data').says, /inside the data folder/)
  })

  test('a data folder that everybody can write to is told', async () => {
    chmodSync(here.host.data, 0o777)
    const found = await doctor(here, ['--offline'])
    chmodSync(here.host.data, 0o700)
    assert.deepEqual(found.wrongCodes, ['folder_open_to_all'])
  })

  test('a database that was moved away is missed, and one that never was is not', async () => {
    const moved = `${database()}.away`
    renameSync(database(), moved)
    const found = await doctor(here, ['--offline'])
    renameSync(moved, database())
    assert.deepEqual(found.wrongCodes, ['database_gone'])
    const fresh = await doctor(here, ['--offline'], { TOKENKEEP_DATA: join(here.desk.folder, 'fresh') })
    assert.deepEqual([fresh.code, fresh.the('database_missing').is], [0, 'note'])
  })

  test('a newer database is refused and an older one announced; neither is touched', async () => {
    const { user_version: version } = new DatabaseSync(database(), { readOnly: true })
      .prepare('PRAGMA user_version')
      .get() as { user_version: number }
    const back = `PRAGMA user_version = ${version}`
    await changed('PRAGMA user_version = 999', back, async () => {
      const found = await doctor(here, ['--offline'])
      assert.deepEqual(found.wrongCodes, ['database_newer'])
    })
    await changed(`PRAGMA user_version = ${version - 1}`, back, async () => {
      const found = await doctor(here, ['--offline'])
      assert.equal(found.the('database_older').facts['newest'], version)
      assert.equal(found.code, 0)
      const opened = new DatabaseSync(database(), { readOnly: true })
      assert.equal(opened.prepare('PRAGMA user_version').get()?.['user_version'], version - 1)
      opened.close()
    })
  })

  test('a database on hold is wrong, and so is one that the next start would put on hold', async () => {
    const hold = JSON.stringify({ since: 0, because: 'backup' })
    await changed(`UPDATE installation SET hold = '${hold}'`, 'UPDATE installation SET hold = NULL', async () => {
      const found = await doctor(here, ['--offline'])
      assert.match(found.the('database_on_hold').says, /restored from a backup/)
    })
    await changed(
      'UPDATE installation SET epoch = epoch - 1',
      'UPDATE installation SET epoch = epoch + 1',
      async () => {
        const found = await doctor(here, ['--offline'])
        assert.deepEqual(found.wrongCodes, ['database_hold_ahead'])
        assert.match(found.the('database_hold_ahead').says, /an earlier state of this database was put back/)
      },
    )
  })

  test('a page that was overwritten is found by reading the database through', async () => {
    const kept = readFileSync(database())
    const damaged = Buffer.from(kept)
    // Behind the pages that opening looks at.
    damaged.fill(0xff, damaged.length - 8192 * 3, damaged.length)
    writeFileSync(database(), damaged)
    const found = await doctor(here, ['--offline'])
    writeFileSync(database(), kept)
    assert.ok(found.has('database_damaged'), JSON.stringify(found.wrongCodes))
    assert.equal(found.code, 6)
  })

  test('a file that is no database is told so', async () => {
    const folder = join(here.desk.folder, 'text')
    mkdirSync(folder)
    writeFileSync(join(folder, 'tokenkeep.db'), 'this is no database, but a text of some length')
    const found = await doctor(here, ['--offline'], { TOKENKEEP_DATA: folder })
    assert.match(found.the('database_unusable').says, /not a SQLite database/)
  })

  test('connections in trouble are counted, with the first of them', async () => {
    const trouble = `UPDATE connection SET status = 'blocked', due_at = 1 WHERE id = 'dealer-42'`
    const back = `UPDATE connection SET status = 'ready' WHERE id = 'dealer-42'`
    await changed(trouble, back, async () => {
      const found = await doctor(here, ['--offline'])
      assert.deepEqual(found.wrongCodes, ['connections_blocked'])
      assert.match(found.the('connections_blocked').says, /^1 blocked: .*\(dealer-42\)$/)
    })
    const soon = Date.now() + 3_600_000
    await changed(
      `UPDATE connection SET expiring_at = ${soon}`,
      'UPDATE connection SET expiring_at = NULL',
      async () => {
        const found = await doctor(here, ['--offline'])
        assert.match(
          found.the('connections_ending').says,
          /^2 end within 7 days, whatever is refreshed \(dealer-42, dealer-43\)$/,
        )
      },
    )
  })

  test('providers that do not answer, are in a private network, or are somebody else: the others are looked at as well', async () => {
    const add = (id: string, ...more: readonly string[]) => here.prepare(['provider', 'add', id, ...more])
    const silent = createServer((socket) => void socket.on('error', () => undefined)).listen(0, '127.0.0.1')
    await once(silent, 'listening')
    const { port } = silent.address() as { port: number }
    await add('silent', '--issuer', `http://127.0.0.1:${port}`)
    await add('closed', '--token-endpoint', 'http://127.0.0.1:1/token')
    await add('nowhere', '--token-endpoint', 'https://no-such-host.invalid/token')
    await add('moved', '--issuer', here.provider.issuer(REALM), '--token-endpoint', 'http://127.0.0.1:1/elsewhere')
    await add('slash', '--issuer', `${here.provider.issuer(REALM)}/`, '--token-endpoint', 'http://127.0.0.1:1/token')
    const startedAt = performance.now()
    const found = await doctor(here)
    const says = (code: string): string[] =>
      found.findings.filter((each) => each.code === code).map((each) => each.says.replace(/ at 127.*:\d+/, ''))
    assert.ok(performance.now() - startedAt < 20_000)
    silent.close()
    assert.deepEqual(
      says('provider_unfound').map((line) => line.split(':')[0]),
      ['silent'],
    )
    assert.match(says('provider_unreachable').join('\n'), /closed: its token endpoint is not reached: nobody takes/)
    assert.match(says('provider_unreachable').join('\n'), /nowhere: .* its name is not known here/)
    assert.match(
      says('provider_moved').join('\n'),
      /moved: the token endpoint is http:.*elsewhere here, and http:.*\/token/,
    )
    assert.match(says('provider_other_issuer').join('\n'), /slash: .* are those of http/)
    assert.equal(says('provider').length, 1, 'the one that is fine')
    assert.equal(says('client').length, 1)
    assert.equal(found.code, 6)
  })

  test('a private address that a provider came to have by a change of the rules is refused', async () => {
    const allowed = ['--token-endpoint', 'https://10.1.2.3/token', '--allow-private-network']
    await here.prepare(['provider', 'add', 'inside', ...allowed])
    const sql = (allow: boolean): string =>
      `UPDATE provider SET settings = json_set(settings, '$.allowPrivateNetwork', json('${allow}')) WHERE id = 'inside'`
    await changed(sql(false), sql(false), async () => {
      const found = await doctor(here)
      assert.match(found.the('provider_refused').says, /inside: 10\.1\.2\.3 points into a private/)
    })
  })

  test('a client of each kind: without an endpoint to ask, with a file that is gone, with a secret that was moved', async () => {
    const add = ['client', 'add', '--client-id', 'app']
    await here.prepare([...add, 'quiet', '--provider', 'closed', '--client-secret-stdin'], 'canary-quiet-secret')
    const file = join(here.desk.folder, 'assertion.jwt')
    const proving = ['--auth-method', 'private_key_jwt', '--assertion-file', file]
    await here.prepare([...add, 'by-file', '--provider', 'ext', ...proving])
    await here.prepare(['provider', 'add', 'bare', '--token-endpoint', `${here.provider.issuer(REALM)}/token`])
    await here.prepare([...add, 'unasked', '--provider', 'bare', '--client-secret-stdin'], 'canary-quiet-secret')
    await here.prepare([...add, 'own-key', '--provider', 'ext', '--auth-method', 'private_key_jwt'])
    const of = (found: Awaited<ReturnType<typeof doctor>>, client: string): string[] =>
      found.findings
        .filter(({ area, facts }) => area === 'clients' && facts['client'] === client)
        .map(({ code }) => code)
    const first = await doctor(here)
    assert.deepEqual(of(first, 'quiet'), ['client_no_answer'])
    assert.deepEqual(of(first, 'unasked'), ['client_unasked'])
    assert.deepEqual(of(first, 'by-file'), ['client_assertion_missing'])
    assert.ok(of(first, 'own-key').includes('client_refused'), 'it is registered there with a secret')
    const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
    writeFileSync(file, `${part({ alg: 'none' })}.${part({ exp: 1_000_000_000 })}.canary`)
    await changed(
      `UPDATE client SET secret = (SELECT secret FROM client WHERE id = 'app') WHERE id = 'quiet'`,
      'SELECT 1',
      async () => {
        const second = await doctor(here)
        assert.ok(of(second, 'by-file').includes('client_assertion_ended'))
        assert.deepEqual(of(second, 'quiet'), ['client_locked'])
      },
    )
  })

  test('a clock that differs is told by the Date of a provider', async () => {
    const aside = createServer((socket) => {
      socket.on('error', () => undefined)
      socket.once('data', () => {
        const date = new Date(Date.now() + 60_000).toUTCString()
        socket.end(`HTTP/1.1 404 Not Found\r\nDate: ${date}\r\nContent-Length: 0\r\n\r\n`)
      })
    }).listen(0, '127.0.0.1')
    await once(aside, 'listening')
    const { port } = aside.address() as { port: number }
    const url = `http://127.0.0.1:${port}`
    await here.prepare(['provider', 'add', 'closed', '--issuer', url, '--token-endpoint', `${url}/token`])
    const found = await doctor(here)
    aside.close()
    assert.match(found.the('clock_differs').says, /(59|60) s behind that of closed/)
    assert.match(found.the('clock').says, /agrees with ext/)
  })

  test('the folder of the key can be written by others', async () => {
    chmodSync(dirname(here.host.keyFile), 0o777)
    const found = await doctor(here, ['--offline'])
    chmodSync(dirname(here.host.keyFile), 0o700)
    assert.ok(found.has('key_folder_open'))
  })
})
