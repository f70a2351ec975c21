import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { readConfiguration, type Configuration } from '../src/serve/configuration.ts'
import { attributeOf, flagOf, SETTINGS, variableOf, type Setting, type SettingName } from '../src/serve/setting.ts'

const folder = mkdtempSync(join(tmpdir(), 'tokenkeep-configuration-'))
after(() => rmSync(folder, { recursive: true, force: true }))
const fixture = (name: string): string => fileURLToPath(new URL(`../../node/test/fixtures/${name}`, import.meta.url))
const CERT = fixture('localhost-certificate.pem')
const KEY = fixture('localhost-key.pem')

interface Said {
  readonly flags?: Readonly<Record<string, unknown>>
  readonly environment?: Readonly<Record<string, string>>
  /** The content of the file that the flag `--config` names. */
  readonly file?: unknown
}

async function read({ flags = {}, environment = {}, file }: Said) {
  const path = join(folder, 'tokenkeep.json')
  if (file !== undefined) writeFileSync(path, typeof file === 'string' ? file : JSON.stringify(file))
  return readConfiguration(
    { ...flags, ...(file === undefined ? {} : { config: 'tokenkeep.json' }) },
    { environment, folder },
  )
}

async function configured(said: Said): Promise<Configuration> {
  const result = await read(said)
  assert.deepEqual(result.kind === 'mistaken' ? result.mistakes : [], [])
  assert.ok(result.kind === 'read')
  return result.configuration
}

async function mistakesOf(said: Said): Promise<readonly string[]> {
  const result = await read(said)
  assert.ok(result.kind === 'mistaken', 'it was taken')
  return result.mistakes
}

/** For each setting: what a flag or a variable says, what the file says, and what comes of it. */
const SAMPLES = {
  host: ['::1', '::1', (c) => c.listen.host, '::1'],
  port: ['8080', 8080, (c) => c.listen.port, 8080],
  publicUrl: [
    'https://Keep.Example.org/t/',
    'https://Keep.Example.org/t/',
    (c) => c.http.publicUrl,
    'https://keep.example.org/t',
  ],
  allowedHosts: [
    'keep.local, [::2]:99',
    ['keep.local', '[::2]:99'],
    (c) => c.http.allowedHosts,
    ['keep.local', '[::2]:99'],
  ],
  trustedProxies: ['10.0.0.0/8,::1', ['10.0.0.0/8', '::1'], (c) => c.http.trustedProxies, ['10.0.0.0/8', '::1']],
  tlsCertFile: [CERT, CERT, (c) => c.listen.tls?.cert.length, readFileSync(CERT).length],
  tlsKeyFile: [KEY, KEY, (c) => c.listen.tls?.key.length, readFileSync(KEY).length],
  database: [
    'postgres://keeper@db:5433/tokens',
    'postgres://keeper@db:5433/tokens',
    (c) => c.place.database,
    'postgres://keeper@db:5433/tokens',
  ],
  data: ['there', 'there', (c) => c.place.data, join(folder, 'there')],
  keyFile: ['my.key', 'my.key', (c) => c.place.keyFile, join(folder, 'my.key')],
  bodyBytesMax: ['4096', 4096, (c) => c.http.bodyBytesMax, 4096],
  requestTimeoutSeconds: ['2.5', 2.5, (c) => c.http.requestTimeoutMs, 2500],
  callerRequestsPer10s: ['0', 0, (c) => c.http.callerRequestsPer10s, 0],
  wrongKeysPerMinute: ['7', 7, (c) => c.http.wrongKeysPerMinute, 7],
  eventLoopDelayMsMax: ['250', 250, (c) => c.http.eventLoopDelayMsMax, 250],
  dropInWaitSeconds: ['4.5', 4.5, (c) => c.http.dropInWaitMs, 4500],
  proxyIdleSeconds: ['7.5', 7.5, (c) => c.http.proxyIdleMs, 7500],
  cacheBytes: ['2097152', 2_097_152, (c) => c.cacheBytes, 2_097_152],
  drainSeconds: ['5', 5, (c) => c.drainMs, 5000],
  logLevel: ['warn', 'warn', (c) => c.logLevel, 'warn'],
} as const satisfies Record<SettingName, readonly [string, unknown, (configuration: Configuration) => unknown, unknown]>

/** What a setting cannot do without. */
const ALONG: Partial<Record<SettingName, Said['flags']>> = {
  tlsCertFile: { tlsKeyFile: KEY },
  tlsKeyFile: { tlsCertFile: CERT },
}

test('every setting can be said by a flag, a variable and a member of the file', async () => {
  for (const setting of SETTINGS) {
    const [text, member, find, expected] = SAMPLES[setting.name]
    const flags = ALONG[setting.name] ?? {}
    const list: Setting = setting
    const flag = list.one === undefined ? text : text.split(',').map((one) => one.trim())
    const byFlag = await configured({ flags: { ...flags, [attributeOf(setting)]: flag } })
    assert.deepEqual(find(byFlag), expected, flagOf(setting))
    const byFile = await configured({ flags, file: { [setting.name]: member } })
    assert.deepEqual(find(byFile), expected, setting.name)
    // Where the data are, findPlace asks the variables itself.
    const left = ['database', 'data', 'keyFile'].includes(setting.name)
    const byVariable = await configured({ flags, environment: { [variableOf(setting)]: text } })
    assert.deepEqual(find(byVariable), left ? undefined : expected, variableOf(setting))
  }
})

test('a flag wins over a variable, a variable over the file, the file over the default', async () => {
  const flags = { port: '1' }
  const environment = { TOKENKEEP_PORT: '2' }
  const file = { port: 3 }
  assert.equal((await configured({ flags, environment, file })).listen.port, 1)
  assert.equal((await configured({ environment, file })).listen.port, 2)
  assert.equal((await configured({ environment: { TOKENKEEP_PORT: '' }, file })).listen.port, 3)
  assert.equal((await configured({})).listen.port, 7420)
  assert.equal((await configured({})).listen.host, '127.0.0.1')
})

test('a variable wins over the file about the data and the key, and so does the key itself', async () => {
  const file = { data: 'of-file', keyFile: 'of-file.key' }
  const said = { TOKENKEEP_DATA: 'of-variable', TOKENKEEP_KEY_FILE: 'of-variable.key' }
  assert.deepEqual((await configured({ file, environment: said })).place, {})
  const key = { TOKENKEEP_KEY: 'the key itself' }
  const ofFile = { data: join(folder, 'of-file'), dataSaidBy: 'file' }
  assert.deepEqual((await configured({ file, environment: key })).place, ofFile)
  const flags = { keyFile: 'of-flag.key' }
  assert.equal((await configured({ file, environment: key, flags })).place.keyFile, join(folder, 'of-flag.key'))
})

test('paths of the file are relative to its folder, those of flags to the current one', async () => {
  const path = join(folder, 'elsewhere.json')
  writeFileSync(path, JSON.stringify({ data: 'data', keyFile: 'keys/master' }))
  const around = { environment: { TOKENKEEP_CONFIG: path }, folder: tmpdir() }
  const result = await readConfiguration({ keyFile: 'here.key' }, around)
  assert.ok(result.kind === 'read')
  assert.deepEqual(result.configuration.place, {
    data: join(folder, 'data'),
    dataSaidBy: 'file',
    keyFile: join(tmpdir(), 'here.key'),
  })
})

test('every mistake is told at once, with the place where it was made, and no value is repeated', async () => {
  const canary = 'canary-value'
  const mistakes = await mistakesOf({
    flags: { port: canary, trustedProxy: [canary] },
    environment: { TOKENKEEP_PUBLIC_URL: canary, TOKENKEEP_LOG_LEVEL: canary, TOKENKEEP_PORT: '70000' },
    file: { bodyBytesMax: canary, cacheBytes: 1, drainSeconds: '5', allowedHosts: canary, port: 1.5 },
  })
  assert.deepEqual(
    mistakes.map((mistake) => mistake.replaceAll(folder, '.')),
    [
      '--port must be a whole number from 0 to 65535.',
      'TOKENKEEP_PORT must be a whole number from 0 to 65535.',
      '"port" in ./tokenkeep.json must be a whole number from 0 to 65535.',
      'TOKENKEEP_PUBLIC_URL must be a URL that begins with https:// or http://, without user, query and fragment.',
      '"allowedHosts" in ./tokenkeep.json must be a list of host names as they stand in the header Host, with or without a port: no scheme, no path, no *.',
      '--trusted-proxy must be a list of IP addresses or networks (10.0.0.0/8), or of loopback, linklocal, uniquelocal.',
      '"bodyBytesMax" in ./tokenkeep.json must be a whole number from 1024 to 16777216.',
      '"cacheBytes" in ./tokenkeep.json must be a whole number from 1048576 to 68719476736.',
      '"drainSeconds" in ./tokenkeep.json must be a number of seconds from 0 to 600.',
      'TOKENKEEP_LOG_LEVEL must be one of debug, info, warn, error, silent.',
    ],
  )
})

test('what is no value of its kind is refused, at each edge', async () => {
  const wrong: readonly (readonly [string, ...string[]])[] = [
    ['host', '', 'a b', '127.0.0.1:80', '[::1]', 'http://x', '1.2.3', '256.1.1.1', '-x'],
    ['port', '-1', '65536', '1.5', '0x10', '1e3', ' 1', ''],
    ['publicUrl', 'keep.example.org', 'https://', 'https:x', 'https://u:p@x', 'https://x?a', 'https://x#', 'ws://x'],
    ['allowedHost', '*', '*.example.org', 'https://x', 'x/y', 'a b', 'x:123456', '.x'],
    ['trustedProxy', '0.0.0.0/0', '10.0.0.0/33', '::/129', '10.0.0.0/8/8', 'example.org', 'true', '10.0.0.0/'],
    ['bodyBytesMax', '1023', '16777217'],
    ['requestTimeoutSeconds', '0', '3601', 'NaN', 'Infinity'],
    ['drainSeconds', '-1', '601'],
    ['logLevel', 'trace', 'INFO'],
    ['tlsCertFile', ''],
  ]
  for (const [name, ...values] of wrong) {
    for (const value of values) {
      const mistakes = await mistakesOf({ flags: { [name]: name.startsWith('allowed') ? [value] : value } })
      assert.equal(mistakes.length, 1, `${name} ${value}`)
      assert.match(mistakes[0] ?? '', / must (be|not be|have) /, `${name} ${value}`)
    }
  }
  const right = {
    port: '0',
    host: 'localhost',
    publicUrl: 'http://x',
    allowedHost: ['a_b.c', 'x:1'],
    trustedProxy: ['fd00::/8'],
  }
  await configured({ flags: right })
})

test('the file is one JSON object of known members, and no secret stands in it', async () => {
  for (const [file, says] of [
    ['', /^.*tokenkeep\.json is not JSON\.$/],
    ['{"canary": 1,\n }', /is not JSON: see line 2, column 2\.$/],
    ['[]', /must hold one JSON object/],
    ['7420', /must hold one JSON object/],
    [{ allowed_hosts: [] }, /"allowed_hosts" .* is not known: write "allowedHosts"\.$/],
    [{ PORT: 1 }, /"PORT" .* write "port"\.$/],
    [{ colour: 'canary' }, /"colour" .* is not known: docs\/serve\.md/],
    [{ config: 'canary' }, /"config" .* is not known/],
    [{ 'a\u001b[2Jcanary': 1 }, /"\.\.\." .* is not known/],
    [{ key: 'canary' }, /"key" .* no secret belongs into this file.*TOKENKEEP_KEY/],
    [{ masterKey: 'canary' }, /no secret belongs/],
    [{ client_secret: 'canary' }, /no secret belongs/],
    [{ apiKey: 'canary' }, /no secret belongs/],
    [{ port: null }, /"port" .* must be a whole number/],
  ] as const) {
    const mistakes = await mistakesOf({ file })
    assert.equal(mistakes.length, 1)
    assert.match(mistakes[0] ?? '', says)
    assert.doesNotMatch(mistakes[0] ?? '', /canary/)
  }
  await configured({ file: '\uFEFF{"port": 1}' })
  for (const flags of [{ config: 'not-there.json' }, { config: '.' }, { config: '' }]) {
    const [mistake] = await mistakesOf({ flags })
    assert.match(mistake ?? '', /^--config /)
  }
})

test('the URL of a database stands in the file without its password, also where something else wins over it', async () => {
  for (const database of [
    'postgres://keeper:canary@db/tokens',
    'postgresql://:canary@db/tokens',
    'postgres://keeper@db/tokens?password=canary',
    'postgres://keeper@db/tokens?schema=other&%70assword=canary',
  ]) {
    for (const more of [{}, { flags: { database: 'postgres://flag@db/tokens' } }]) {
      const mistakes = await mistakesOf({ file: { database }, ...more })
      assert.equal(mistakes.length, 1, database)
      assert.match(
        mistakes[0] ?? '',
        /^"database" in .*tokenkeep\.json has a password, .*TOKENKEEP_DATABASE.*PGPASSWORD/,
      )
      assert.doesNotMatch(mistakes[0] ?? '', /canary/)
    }
    assert.equal((await configured({ flags: { database } })).place.database, database)
    assert.deepEqual((await configured({ environment: { TOKENKEEP_DATABASE: database } })).place, {})
  }
  await configured({ file: { database: 'postgres://keeper@db/tokens?sslmode=verify-full' } })
})

test('beyond this machine it listens only under a name that callers are known to use', async () => {
  for (const host of ['0.0.0.0', '::', '192.168.1.1', 'keep.example.org', '126.0.0.1', '::ffff:127.0.0.1']) {
    const [mistake, ...more] = await mistakesOf({ environment: { TOKENKEEP_HOST: host } })
    assert.match(mistake ?? '', /^TOKENKEEP_HOST .*rebinding.*--public-url.*--allowed-host/)
    assert.deepEqual(more, [])
    await configured({ flags: { host, publicUrl: 'https://keep.example.org' } })
    await configured({ flags: { host, allowedHost: ['keep.example.org'] } })
  }
  for (const host of ['127.0.0.1', '127.9.9.9', '::1', 'localhost']) await configured({ flags: { host } })
  const mistakes = await mistakesOf({ flags: { host: '0.0.0.0', publicUrl: 'keep.example.org' } })
  assert.deepEqual(
    mistakes.map((mistake) => mistake.split(' ')[0]),
    ['--public-url'],
    'it was said, though wrongly',
  )
})

test('certificate and key are tried before anybody is let in', async () => {
  const other = join(folder, 'other.pem')
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  writeFileSync(other, privateKey.export({ type: 'pkcs8', format: 'pem' }))
  const locked = join(folder, 'locked.pem')
  const cipher = { cipher: 'aes-256-cbc', passphrase: 'canary' }
  writeFileSync(locked, privateKey.export({ type: 'pkcs8', format: 'pem', ...cipher }))
  for (const [flags, says] of [
    [{ tlsCertFile: CERT }, /^--tls-cert-file is given alone: https needs --tls-key-file \(TOKENKEEP_TLS_KEY_FILE\)/],
    [{ tlsKeyFile: KEY }, /^--tls-key-file is given alone: https needs --tls-cert-file/],
    [{ tlsCertFile: '', tlsKeyFile: KEY }, /^--tls-cert-file must not be empty\.$/],
    [{ tlsCertFile: 'none.pem', tlsKeyFile: KEY }, /^--tls-cert-file names a file that cannot be read \(ENOENT\)/],
    [{ tlsCertFile: CERT, tlsKeyFile: folder }, /^--tls-key-file names a file that cannot be read \(EISDIR\)/],
    [{ tlsCertFile: KEY, tlsKeyFile: KEY }, /^--tls-cert-file names a file that is no PEM certificate/],
    [{ tlsCertFile: CERT, tlsKeyFile: CERT }, /^--tls-key-file names a file that is no PEM private key/],
    [{ tlsCertFile: CERT, tlsKeyFile: locked }, /^--tls-key-file names a file that is no PEM private key without pass/],
    [{ tlsCertFile: CERT, tlsKeyFile: other }, /^--tls-key-file is not the key of that certificate/],
  ] as const) {
    const mistakes = await mistakesOf({ flags })
    assert.equal(mistakes.length, 1)
    assert.match(mistakes[0] ?? '', says)
  }
  const { tls } = (await configured({ flags: { tlsCertFile: CERT, tlsKeyFile: KEY } })).listen
  assert.deepEqual(tls, { cert: readFileSync(CERT), key: readFileSync(KEY) })
})

test('what Kubernetes tells of a service called tokenkeep is not taken for a port', async () => {
  const { listen } = await configured({ environment: { TOKENKEEP_PORT: 'tcp://10.96.0.17:7420' }, file: { port: 9 } })
  assert.equal(listen.port, 9)
})

test('docs/serve.md lists exactly the settings, with flag, variable and default', () => {
  const text = readFileSync(new URL('../../../docs/serve.md', import.meta.url), 'utf8')
  const rows = text
    .split('\n')
    .filter((line) => /^\| `\w+` +\|/.test(line))
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    )
    // The page has another table, of metrics.
    .filter((cells) => cells.length === 5)
  const expected = SETTINGS.map((setting: Setting) => [
    `\`${setting.name}\``,
    `\`${flagOf(setting)}\``,
    `\`${variableOf(setting)}\``,
    setting.default === undefined ? '' : String(setting.default),
    `${setting.help.charAt(0).toUpperCase()}${setting.help.slice(1)}.`,
  ])
  assert.deepEqual(rows, expected)
})
