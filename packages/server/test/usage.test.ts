import assert from 'node:assert/strict'
import { PassThrough, Readable } from 'node:stream'
import { tmpdir } from 'node:os'
import { test } from 'node:test'
import { run } from '../src/main.ts'

const importing = ['connection', 'import', 'x', '--client', 'app']

test('contradictions and missing parts are named, with exit code 2', async () => {
  for (const [args, says] of [
    [[], /a command is missing/],
    [['provider'], /a command is missing/],
    [['bogus'], /unknown command 'bogus'/],
    [['tokn', 'x'], /Did you mean token/],
    [['token'], /missing required argument 'id'/],
    [['token', 'x', 'y'], /too many arguments .* got 2\.$/m],
    [['token', 'x', '--min-ttl', 'soon'], /number of seconds/],
    [['token', 'x', '--wait', '-1'], /number of seconds/],
    [['provider', 'add', 'x', '--sign', 'dead=gone'], /OUTCOME=WORD or OUTCOME=STATUS:WORD, with reused, rejected/],
    [['provider', 'add', 'x', '--sign', 'rejected='], /OUTCOME=WORD or OUTCOME=STATUS:WORD/],
    [['provider', 'add', 'x', '--variable', 'tenant'], /A variable is NAME=VALUE/],
    [['token', 'x', '--data', ''], /--data <folder>.* empty/],
    [['connection', 'import', 'x'], /--client ID is missing/],
    [importing, /no token to keep/],
    [[...importing, '--refresh-token-stdin'], /standard input is empty/],
    [[...importing, '--refresh-token-stdin', '--access-token-stdin'], /only one secret/],
    [[...importing, '--refresh-token-stdin', '--refresh-token-env', 'A'], /choose one/],
    [[...importing, '--token-response-stdin', '--refresh-token-env', 'A'], /has the tokens in it/],
    [[...importing, '--refresh-token-env', 'A'], /variable that --refresh-token-env names is not set/],
    [[...importing, '--refresh-token-file', 'no-such'], /file that --refresh-token-file names does not exist/],
    [[...importing, '--refresh-token-file', '.'], /is a folder/],
    [[...importing, '--label', 'bikes'], /NAME=VALUE/],
    [['connection', 'import', 'x', '--reconnect', '--client', 'app', '--refresh-token-stdin'], /leave --client out/],
    [['connection', 'import', 'x', '--reconnect', '--label', 'a=b', '--refresh-token-stdin'], /leave --label out/],
    [['connection', 'list', '--status', 'well'], /Allowed choices/],
    [['connection', 'list', '--limit', '0'], /1 or more/],
    [['provider', 'add', 'p', '--reuse', 'sometimes'], /strict, reusable/],
    [['client', 'add', 'c', '--provider', 'ext'], /--client-id/],
    [['dev', '--as-port', '70000'], /0 to 65535/],
  ] as const) {
    const { code, out, err } = await command(args)
    assert.deepEqual([code, out], [2, ''], args.join(' '))
    assert.match(err, says)
    assert.doesNotMatch(err, /mistake in Tokenkeep/)
  }
})

test('errors in the arguments are JSON, too, where JSON was asked for', async () => {
  for (const args of [['--json'], ['bogus', '--json'], ['--json', 'token'], ['--json', ...importing, '--key=k']]) {
    const { code, out, err } = await command(args)
    assert.deepEqual([code, out], [2, ''])
    assert.match(err, /^\{"error":\{"code":"invalid_input",.*\}\}\n$/)
  }
  const { err } = await command(['token', '--', '--json'])
  assert.match(err, /^tokenkeep: /, 'behind -- it is an id')
})

test('standard input that is not UTF-8, too long, or empty is refused, and none of it is repeated', async () => {
  for (const [input, says] of [
    [Buffer.from('canary\xff', 'latin1'), /not UTF-8/],
    [Buffer.from('canary'.repeat(100_000)), /more than \d+ bytes/],
    [Buffer.from('\n'), /standard input is empty/],
  ] as const) {
    const { code, err } = await command([...importing, '--refresh-token-stdin'], input)
    assert.equal(code, 2)
    assert.match(err, says)
    assert.doesNotMatch(err, /canary/)
  }
})

test('a secret as an argument is refused, not repeated, and told how to come instead', async () => {
  const argument = 'canary-argument'
  for (const args of [
    [...importing, '--refresh-token', argument],
    [...importing, `--refresh_token=${argument}`],
    ['client', 'add', 'c', '--provider', 'ext', '--client-id', 'c', `--clientSecret=${argument}`],
    ['connection', 'rejected', 'x', '--access-token', argument],
    [...importing, '--Token-Response', argument],
  ]) {
    const { code, err } = await command(args)
    assert.equal(code, 2)
    assert.match(err, /is refused.*-stdin/)
    assert.doesNotMatch(err, /canary/)
  }
  const { err } = await command(['connection', 'list', `--key=${argument}`])
  assert.match(err, /TOKENKEEP_KEY/)
})

test('what may be a secret in the wrong place is not repeated either', async () => {
  const argument = 'canary-argument'
  for (const args of [
    ['connection', 'rejected', 'x', argument],
    [...importing, `--refresh-tokne=${argument}`],
    [...importing, `--dtaa=${argument}`],
    [...importing, `-r${argument}`],
    [...importing, '--refresh-token-env', argument],
    [...importing, '--refresh-token-file', argument],
    ['token', 'x', '--json', `--bearer=${argument}`],
  ]) {
    const { code, err } = await command(args)
    assert.equal(code, 2)
    assert.doesNotMatch(err, /canary/, args.join(' '))
  }
})

/** Runs the command in this process, for arguments that are refused before anything is opened. */
async function command(args: readonly string[], input: Buffer = Buffer.alloc(0)) {
  const output = new PassThrough()
  const complaints = new PassThrough()
  const code = await run(args, {
    environment: {},
    folder: tmpdir(),
    input: Readable.from(input.length === 0 ? [] : [input]),
    output,
    complaints,
    now: () => Date.now(),
    interruption: { signal: new AbortController().signal, by: () => null },
  })
  return { code, out: textOf(output), err: textOf(complaints) }
}

const textOf = (stream: PassThrough): string => String(stream.read() ?? '')
