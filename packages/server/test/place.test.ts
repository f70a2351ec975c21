import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { test, type TestContext } from 'node:test'
import { devPlace, findPlace, openOptionsOf, type PlaceOptions } from '../src/cli/place.ts'
import { readConfiguration } from '../src/serve/configuration.ts'

test('--data wins over TOKENKEEP_DATA, which wins over a dev folder here, which wins over the folder of the user', (t) => {
  const folder = someFolder(t)
  const find = (options: PlaceOptions, environment: Record<string, string>) =>
    findPlace(options, { environment, folder }, () => '/users/own')
  assert.equal(find({}, {}).database, '/users/own/tokenkeep.db')
  makeDevFolder(folder)
  const all = { TOKENKEEP_DATA: 'from-environment' }
  assert.deepEqual(
    [find({ data: 'given' }, all), find({}, all), find({}, {}), find({}, { TOKENKEEP_DATA: '' })].map((found) => [
      found.folder,
      found.chosenBy,
    ]),
    [
      [join(folder, 'given'), 'option'],
      [join(folder, 'from-environment'), 'environment'],
      [join(folder, '.tokenkeep'), 'dev_folder_here'],
      [join(folder, '.tokenkeep'), 'dev_folder_here'],
    ],
  )
})

test('a database counts, whoever says it, and a folder beside it is its state folder; the nearer word wins over each', async (t) => {
  const folder = someFolder(t)
  writeFileSync(join(folder, 'tokenkeep.json'), '')
  const nowhere = [undefined, 'default', '/users/own'] as const
  const postgres = (by: string) => `postgres://keeper@${by}/tokens`
  /** What says the database, what says the folder; then the database that is taken, what chose it, and the folder. */
  const table: readonly (readonly [string, string, string | undefined, string, string])[] = [
    ['', '', ...nowhere],
    ['', 'file', undefined, 'option', 'file'],
    ['', 'variable', undefined, 'environment', 'variable'],
    ['', 'variable file', undefined, 'environment', 'variable'],
    ['', 'flag', undefined, 'option', 'flag'],
    ['', 'flag file', undefined, 'option', 'flag'],
    ['', 'flag variable', undefined, 'option', 'flag'],
    ['', 'flag variable file', undefined, 'option', 'flag'],
    ...(
      ['file', 'variable', 'variable file', 'flag', 'flag file', 'flag variable', 'flag variable file'] as const
    ).flatMap((database) => {
      const [by = ''] = database.split(' ')
      const chosenBy = by === 'variable' ? 'environment' : 'option'
      return [
        [database, '', by, chosenBy, '/users/own'],
        [database, 'file', by, chosenBy, 'file'],
        [database, 'variable', by, chosenBy, 'variable'],
        [database, 'variable file', by, chosenBy, 'variable'],
        [database, 'flag', by, chosenBy, 'flag'],
        [database, 'flag file', by, chosenBy, 'flag'],
        [database, 'flag variable', by, chosenBy, 'flag'],
        [database, 'flag variable file', by, chosenBy, 'flag'],
      ] as const
    }),
  ]
  assert.equal(new Set(table.map(([database, data]) => `${database}/${data}`)).size, 8 * 8, 'every combination')
  for (const [database, data, taken, chosenBy, at] of table) {
    const says = (by: string) => ({
      ...(database.split(' ').includes(by) ? { database: postgres(by) } : {}),
      ...(data.split(' ').includes(by) ? { data: by } : {}),
    })
    const variables = says('variable')
    const environment = {
      ...(variables.database === undefined ? {} : { TOKENKEEP_DATABASE: variables.database }),
      ...(variables.data === undefined ? {} : { TOKENKEEP_DATA: variables.data }),
    }
    writeFileSync(join(folder, 'tokenkeep.json'), JSON.stringify(says('file')))
    const around = { environment, folder }
    const read = await readConfiguration({ ...says('flag'), config: 'tokenkeep.json' }, around)
    assert.ok(read.kind === 'read')
    const place = findPlace(read.configuration.place, around, () => '/users/own')
    assert.deepEqual(
      [place.postgres, place.chosenBy, place.folder],
      [taken === undefined ? undefined : postgres(taken), chosenBy, resolve(folder, at)],
      `database by ${database || 'nothing'}, folder by ${data || 'nothing'}`,
    )
    const opened = openOptionsOf(place)
    assert.equal(opened.stateFolder, taken === undefined ? undefined : place.folder)
    assert.equal(opened.path, taken === undefined ? place.database : undefined)
  }
})

test('--data with a database of its own is refused beside TOKENKEEP_DATABASE; the file, a variable and --database say which', (t) => {
  const folder = someFolder(t)
  makeDevFolder(folder)
  const environment = { TOKENKEEP_DATABASE: 'postgres://keeper:canary@db/tokens' }
  const find = (options: PlaceOptions, more: Record<string, string> = {}) =>
    findPlace(options, { environment: { ...environment, ...more }, folder }, () => '/users/own')
  assert.throws(() => find({ data: '.tokenkeep' }), {
    code: 'invalid_input',
    message: /^TOKENKEEP_DATABASE names a database, and --data a folder that has one of its own(?!.*canary)/,
  })
  const taken = [
    find({ data: '.tokenkeep', dataSaidBy: 'file' }),
    find({ data: '.tokenkeep', database: 'postgres://keeper@db/tokens' }),
    find({}, { TOKENKEEP_DATA: '.tokenkeep' }),
  ]
  assert.deepEqual(
    taken.map(({ postgres, folder: at }) => [postgres, at]),
    [
      [environment.TOKENKEEP_DATABASE, join(folder, '.tokenkeep')],
      ['postgres://keeper@db/tokens', join(folder, '.tokenkeep')],
      [environment.TOKENKEEP_DATABASE, join(folder, '.tokenkeep')],
    ],
  )
  assert.equal(
    find({ data: '.tokenkeep' }, { TOKENKEEP_DATABASE: '' }).database,
    join(folder, '.tokenkeep', 'tokenkeep.db'),
  )
})

test('a folder here that dev did not make is not taken: only dev keeps the key beside the data', (t) => {
  const folder = someFolder(t)
  mkdirSync(join(folder, '.tokenkeep'))
  writeFileSync(join(folder, '.tokenkeep', 'tokenkeep.db'), '')
  assert.equal(findPlace({}, { environment: {}, folder }, () => '/users/own').folder, '/users/own')
})

test('--key-file wins over TOKENKEEP_KEY_FILE, which wins over TOKENKEEP_KEY, which wins over a dev key beside the data', (t) => {
  const folder = someFolder(t)
  makeDevFolder(folder)
  const keyOf = (options: PlaceOptions, environment: Record<string, string>) => {
    const { keyFile, keyBesideData } = findPlace(options, { environment, folder }, () => '/users/own')
    return [keyFile, keyBesideData]
  }
  const all = { TOKENKEEP_KEY_FILE: '/keys/environment', TOKENKEEP_KEY: 'k' }
  assert.deepEqual(keyOf({ keyFile: 'mine' }, all), [join(folder, 'mine'), false])
  assert.deepEqual(keyOf({}, all), ['/keys/environment', false])
  assert.deepEqual(keyOf({}, { TOKENKEEP_KEY: 'k' }), [undefined, false])
  assert.deepEqual(keyOf({}, {}), [join(folder, '.tokenkeep', 'dev.key'), true])
  assert.deepEqual(keyOf({ keyFile: '.tokenkeep/dev.key' }, {}), [join(folder, '.tokenkeep', 'dev.key'), true])
})

test('dev keeps its key beside the data, unless it is given another one', (t) => {
  const folder = someFolder(t)
  const own = devPlace({}, { environment: {}, folder })
  assert.deepEqual([own.keyFile, own.keyBesideData], [join(folder, '.tokenkeep', 'dev.key'), true])
  const given = devPlace({ keyFile: '/keys/one', data: 'elsewhere' }, { environment: {}, folder })
  assert.deepEqual([given.keyFile, given.keyBesideData, given.folder], ['/keys/one', false, join(folder, 'elsewhere')])
  const variable = devPlace({}, { environment: { TOKENKEEP_KEY: 'k' }, folder })
  assert.deepEqual([variable.keyFile, variable.keyBesideData], [undefined, false])
})

test('dev stays away from data that it did not make, and from those that TOKENKEEP_DATA names', (t) => {
  const folder = someFolder(t)
  const environment = { TOKENKEEP_DATA: '/data/in/use' }
  assert.equal(devPlace({}, { environment, folder }).folder, join(folder, '.tokenkeep'))
  writeFileSync(join(folder, 'tokenkeep.db'), '')
  assert.throws(() => devPlace({ data: '.' }, { environment, folder }), { code: 'folder_unusable' })
  writeFileSync(join(folder, 'authorization-server.db'), '')
  assert.equal(devPlace({ data: '.' }, { environment, folder }).folder, folder)
})

function someFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'tokenkeep-place-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

function makeDevFolder(folder: string): void {
  mkdirSync(join(folder, '.tokenkeep'))
  writeFileSync(join(folder, '.tokenkeep', 'tokenkeep.db'), '')
  writeFileSync(join(folder, '.tokenkeep', 'dev.key'), '')
}
