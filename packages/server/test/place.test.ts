import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { devPlace, findPlace, type PlaceOptions } from '../src/cli/place.ts'

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
