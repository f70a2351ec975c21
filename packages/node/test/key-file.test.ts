import assert from 'node:assert/strict'
import { execFile, execFileSync, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { promisify } from 'node:util'
import { TokenError } from '@tokenkeep/core'
import { createKeyFile, openKeyFile } from '../src/key-file.ts'
import { assertOwnKeys, checkOf } from '../src/keyring.ts'

async function folderFor(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tokenkeep-key-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  return folder
}

async function refusalOf(act: Promise<unknown>): Promise<TokenError> {
  const error = await act.then(
    () => assert.fail('it was not refused'),
    (refused: unknown) => refused,
  )
  assert.ok(error instanceof TokenError, String(error))
  assert.equal(error.cause, undefined)
  return error
}

test('a key file is made once, complete, for its owner alone, with its folders', async (t) => {
  const path = join(await folderFor(t), 'config', 'tokenkeep', 'tokens.key')
  const made = await createKeyFile({ path, notBelow: null })
  assert.equal((await stat(path)).mode & 0o777, 0o600)
  assert.equal((await stat(join(path, '..'))).mode & 0o777, 0o700)
  assert.deepEqual(await readdir(join(path, '..')), ['tokens.key'])
  assert.deepEqual(checkOf(await openKeyFile({ path, notBelow: null })), checkOf(made))
  assert.equal(made.source, `the key file ${path}`)
})

test('a key file that is there is read and never replaced', async (t) => {
  const path = join(await folderFor(t), 'tokens.key')
  const first = await createKeyFile({ path, notBelow: null })
  const text = await readFile(path, 'utf8')
  assert.deepEqual(checkOf(await createKeyFile({ path, notBelow: null })), checkOf(first))
  assert.equal(await readFile(path, 'utf8'), text)
})

test('processes that start first at the same time end with one key', async (t) => {
  const path = join(await folderFor(t), 'config', 'tokens.key')
  const script = `
    import { createKeyFile } from ${JSON.stringify(new URL('../src/key-file.ts', import.meta.url).href)}
    import { checkOf } from ${JSON.stringify(new URL('../src/keyring.ts', import.meta.url).href)}
    const path = process.argv[1]
    while (!(await import('node:fs')).existsSync(path + '.go')) await new Promise((go) => setTimeout(go, 1))
    console.log(JSON.stringify(checkOf(await createKeyFile({ path, notBelow: null }))))`
  const flags = ['--conditions=tokenkeep-source', '--input-type=module', '--eval', script, path]
  const runs = Array.from({ length: 4 }, () => promisify(execFile)(process.execPath, flags))
  await mkdir(join(path, '..'))
  await writeFile(`${path}.go`, '')
  const keys = new Set((await Promise.all(runs)).map(({ stdout }) => stdout))
  assert.equal(keys.size, 1)
  assert.deepEqual((await readdir(join(path, '..'))).sort(), ['tokens.key', 'tokens.key.go'])
})

test('a missing key file is said with its path and the variable', async (t) => {
  const path = join(await folderFor(t), 'tokens.key')
  const error = await refusalOf(openKeyFile({ path, notBelow: null }))
  assert.equal(error.code, 'key_missing')
  assert.ok(error.message.includes(path) && error.message.includes('TOKENKEEP_KEY'))
  assert.equal(existsSync(path), false)
})

test('a key file that others can read or write is refused with the command that mends it', async (t) => {
  const path = join(await folderFor(t), 'tokens.key')
  await createKeyFile({ path, notBelow: null })
  for (const mode of [0o640, 0o604, 0o620, 0o602, 0o610, 0o644, 0o777]) {
    await chmod(path, mode)
    const error = await refusalOf(openKeyFile({ path, notBelow: null }))
    assert.equal(error.code, 'key_wrong')
    assert.ok(error.message.includes(`chmod 600 '${path}'`) && error.message.includes(mode.toString(8)), error.message)
  }
  for (const mode of [0o600, 0o400]) {
    await chmod(path, mode)
    await openKeyFile({ path, notBelow: null })
  }
})

test('a malformed key file is refused by file and line, and its content is not told', async (t) => {
  const path = join(await folderFor(t), 'tokens.key')
  await createKeyFile({ path, notBelow: null })
  const good = await readFile(path, 'utf8')
  const lines = good.split('\n')
  const at = (word: string): number => lines.findIndex((line) => line.startsWith(word)) + 1
  const keyLine = lines[at('key ') - 1] ?? ''
  const cases: readonly [name: string, text: string, line: number | null][] = [
    ['empty', '', null],
    ['only comments', '# nothing\n\n', null],
    ['no version', good.replace('tokenkeep-keys 1\n', ''), at('key ') - 1],
    ['a newer version', good.replace('tokenkeep-keys 1', 'tokenkeep-keys 2'), at('tokenkeep-keys')],
    ['only the key itself', keyLine.split(' ')[2] ?? '', 1],
    ['a cut key', good.replace(keyLine, keyLine.slice(0, -3)), at('key ')],
    ['a key with a character too many', good.replace(keyLine, `${keyLine}A`), at('key ')],
    ['a key with a foreign character', good.replace(keyLine, `${keyLine.slice(0, -1)}!`), at('key ')],
    ['a key without a name', good.replace(keyLine, keyLine.replace(' first', '')), at('key ')],
    ['the name and the key swapped', good.replace(keyLine, keyLine.split(' ').reverse().join(' ')), at('key ')],
    ['two keys of one name', good.replace(keyLine, `${keyLine}\n${keyLine}`), at('key ') + 1],
    ['current names no key', good.replace('current first', 'current second'), null],
    ['no current', good.replace('current first\n', ''), null],
    ['two currents', `${good}current first\n`, lines.length],
    ['no fingerprint key', good.replace(/^fingerprint .*\n/m, ''), null],
    ['a cut fingerprint key', good.slice(0, -4), at('fingerprint')],
    ['a strange word', `${good}keys\n`, lines.length],
    ['binary', '\u0000\u0001\u0002', 1],
  ]
  const secrets: readonly string[] = good.match(/[\w-]{43}/g) ?? []
  assert.equal(secrets.length, 2)
  for (const [name, text, line] of cases) {
    await writeFile(path, text)
    const error = await refusalOf(openKeyFile({ path, notBelow: null }))
    assert.equal(error.code, 'key_wrong', name)
    assert.ok(error.message.includes(path), name)
    assert.equal(/, line (\d+):/.exec(error.message)?.[1], line?.toString(), `${name}: ${error.message}`)
    for (const secret of secrets) assert.equal(error.message.includes(secret.slice(0, 6)), false, name)
  }
  await writeFile(path, good.replaceAll('\n', '\r\n'))
  await openKeyFile({ path, notBelow: null })
})

test('what is not a file, or far too long, is refused at once', { timeout: 20_000 }, async (t) => {
  const folder = await folderFor(t)
  execFileSync('mkfifo', ['-m', '600', join(folder, 'pipe')])
  await writeFile(join(folder, 'long'), 'k'.repeat(65 * 1024), { mode: 0o600 })
  for (const [name, why] of [
    ['.', /not a file/],
    ['pipe', /not a file/],
    ['long', /too long/],
  ] as const) {
    const error = await refusalOf(openKeyFile({ path: join(folder, name), notBelow: null }))
    assert.equal(error.code, 'key_wrong', name)
    assert.match(error.message, why)
  }
})

test('a key file below the data folder is refused, also through a link, and a neighbour is not', async (t) => {
  const folder = await folderFor(t)
  const data = join(folder, 'data')
  await mkdir(data)
  await symlink(data, join(folder, 'link'))
  for (const path of [join(data, 'tokens.key'), join(data, 'a', 'b.key'), join(folder, 'link', 'tokens.key')]) {
    for (const act of [createKeyFile, openKeyFile]) {
      const error = await refusalOf(act({ path, notBelow: data }))
      assert.equal(error.code, 'invalid_input')
      assert.ok(error.message.includes(path))
    }
    assert.equal(existsSync(path), false)
  }
  await createKeyFile({ path: join(folder, 'data-key', 'tokens.key'), notBelow: data })
})

test('a configuration folder that cannot be written is said with what else to do', async (t) => {
  const folder = await folderFor(t)
  await writeFile(join(folder, 'config'), 'a file in the way')
  const error = await refusalOf(createKeyFile({ path: join(folder, 'config', 'tokens.key'), notBelow: null }))
  assert.equal(error.code, 'folder_unusable')
  assert.ok(error.message.includes('TOKENKEEP_KEY') && error.message.includes('XDG_CONFIG_HOME'))
})

test('a key file with a second, newer key keeps its check value, so that its database still knows it', async (t) => {
  const folder = await folderFor(t)
  const path = join(folder, 'tokens.key')
  const before = checkOf(await createKeyFile({ path, notBelow: null }))
  const other = join(folder, 'other.key')
  await createKeyFile({ path: other, notBelow: null })
  const newer = (/^key first (.*)$/m.exec(await readFile(other, 'utf8')) ?? [])[1] ?? ''
  const rotated = (await readFile(path, 'utf8')).replace('current first', `key second ${newer}\ncurrent second`)
  await writeFile(path, rotated)
  const keys = await openKeyFile({ path, notBelow: null })
  assert.equal(keys.current.name, 'second')
  assert.equal(checkOf(keys).value, before.value)
  assertOwnKeys(keys, before, 'tokens.db')
})

test('a database refuses the keys of another, and a ring that lost the key it was sealed with', async (t) => {
  const folder = await folderFor(t)
  const [own, other] = [join(folder, 'own.key'), join(folder, 'other.key')]
  const kept = checkOf(await createKeyFile({ path: own, notBelow: null }))
  const foreign = await createKeyFile({ path: other, notBelow: null })
  assert.throws(() => assertOwnKeys(foreign, kept, 'tokens.db'), {
    code: 'key_wrong',
    message: new RegExp(`${other}.*tokens\\.db`),
  })
  const newKey = (/^key first (.*)$/m.exec(await readFile(other, 'utf8')) ?? [])[1] ?? ''
  await writeFile(own, (await readFile(own, 'utf8')).replace(/^key first .*$/m, `key first ${newKey}`))
  const lost = await openKeyFile({ path: own, notBelow: null })
  assert.throws(() => assertOwnKeys(lost, kept, 'tokens.db'), {
    code: 'key_wrong',
    message: new RegExp(kept.sealedWith),
  })
})

test('a process killed while it makes the key file leaves none or a whole one', async (t) => {
  const folder = await folderFor(t)
  const script = `
    import { createKeyFile } from ${JSON.stringify(new URL('../src/key-file.ts', import.meta.url).href)}
    process.stdout.write('ready')
    for (let n = 0; ; n += 1) await createKeyFile({ path: process.argv[1] + '/' + n + '.key', notBelow: null })`
  const flags = ['--conditions=tokenkeep-source', '--input-type=module', '--eval', script, folder]
  const child = spawn(process.execPath, flags, { stdio: ['ignore', 'pipe', 'inherit'] })
  await new Promise((resolve) => child.stdout.once('data', resolve))
  const ended = new Promise((resolve) => child.once('exit', resolve))
  setTimeout(() => child.kill('SIGKILL'), 100)
  await ended
  const made = (await readdir(folder)).filter((name) => !name.startsWith('.'))
  assert.ok(made.length > 0)
  for (const name of made) await openKeyFile({ path: join(folder, name), notBelow: null })
})
