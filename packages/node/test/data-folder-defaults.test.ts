import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defaultFolders, type Surroundings } from '../src/default-folders.ts'

const at = (
  platform: NodeJS.Platform,
  environment: Surroundings['environment'] = {},
  home: string = platform === 'win32' ? 'C:\\Users\\ada' : '/home/ada',
) => defaultFolders({ platform, environment, home: () => home })

test('data and keys have folders of their own, on every system', () => {
  assert.deepEqual(at('linux'), { data: '/home/ada/.local/share/tokenkeep', config: '/home/ada/.config/tokenkeep' })
  assert.deepEqual(at('darwin', {}, '/Users/ada'), {
    data: '/Users/ada/Library/Application Support/tokenkeep/data',
    config: '/Users/ada/Library/Application Support/tokenkeep/config',
  })
  assert.deepEqual(at('win32'), {
    data: 'C:\\Users\\ada\\AppData\\Local\\tokenkeep\\data',
    config: 'C:\\Users\\ada\\AppData\\Local\\tokenkeep\\config',
  })
  assert.equal(at('win32', { LOCALAPPDATA: 'D:\\local' }).data, 'D:\\local\\tokenkeep\\data')
})

test('the XDG variables are obeyed when they are absolute and ignored when they are not', () => {
  const set = { XDG_DATA_HOME: '/srv/data', XDG_CONFIG_HOME: '/srv/config' }
  for (const platform of ['linux', 'darwin'] as const) {
    assert.deepEqual(at(platform, set), { data: '/srv/data/tokenkeep', config: '/srv/config/tokenkeep' })
  }
  for (const value of ['', 'relative', './here']) {
    assert.deepEqual(at('linux', { XDG_DATA_HOME: value, XDG_CONFIG_HOME: value }), at('linux'))
  }
})

test('without a home folder the variables are named, and with them no home is needed', () => {
  const homeless = (environment: Surroundings['environment'] = {}) => ({
    platform: 'linux' as const,
    environment,
    home: (): string => {
      throw new Error('no such user')
    },
  })
  assert.throws(() => defaultFolders(homeless()), { code: 'folder_unusable', message: /XDG_DATA_HOME/ })
  assert.throws(() => at('linux', {}, ''), { code: 'folder_unusable' })
  const set = { XDG_DATA_HOME: '/srv/data', XDG_CONFIG_HOME: '/srv/config' }
  assert.equal(defaultFolders(homeless(set)).data, '/srv/data/tokenkeep')
})
