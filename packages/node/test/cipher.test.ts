import assert from 'node:assert/strict'
import { createHmac, createSecretKey, randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { Secret } from '@tokenkeep/core'
import type { Place, Sealed, Serial, Uid } from '@tokenkeep/core'
import { createAesGcmCipher, SEALING_BYTES } from '../src/cipher-aes-gcm.ts'
import { expand, joinUnambiguously } from '../src/key-derivation.ts'
import { fingerprintKeyOf, newMasterKey, type Keyring, type MasterKey } from '../src/keyring.ts'

const INSTALLATION = '5f0c2f0e-6f0b-4d3e-8d2e-0d6f1c8a7b11'
const place: Place = { owner: 'a0a0' as Uid, purpose: 'rt', serial: '7' as Serial }
const secret = (value: string): Secret<'refresh_token'> => new Secret('refresh_token', value)

function ringOf(first: MasterKey, ...newer: MasterKey[]): Keyring {
  const keys = [...newer, first]
  return { source: 'a test', current: keys[0] ?? first, keys, fingerprintKey: fingerprintKeyOf(first) }
}

const cipherOf = (keys: Keyring, installation = INSTALLATION) => createAesGcmCipher({ installation, keys })

function reveal(opened: Secret<string> | 'no_key' | 'tampered'): string {
  assert.ok(opened instanceof Secret, `it does not open: ${String(opened)}`)
  return opened.reveal()
}

test('what was sealed opens in its place, of any length and alphabet', async () => {
  const cipher = cipherOf(ringOf(newMasterKey('first')))
  const sealer = await cipher.sealer()
  for (const value of ['', 'x', 'rt-1', 'ключ 🔑', 'e'.repeat(64 * 1024)]) {
    const sealed = sealer.seal(secret(value), place)
    assert.equal(sealed.length, Buffer.byteLength(value) + SEALING_BYTES)
    assert.equal(reveal(cipher.open('refresh_token', sealed, place)), value)
  }
})

test('a ciphertext is version, key id, nonce, text and tag, and shows nothing of the secret', async () => {
  const first = newMasterKey('first')
  const sealed = (await cipherOf(ringOf(first)).sealer()).seal(secret('rt-canary'), place)
  assert.equal(sealed.constructor, Uint8Array)
  assert.equal(sealed[0], 1)
  assert.equal(Buffer.from(sealed.subarray(1, 9)).toString('hex'), first.id)
  assert.equal(Buffer.from(sealed).includes('rt-canary'), false)
})

test('a ciphertext does not open in another place', async () => {
  const keys = ringOf(newMasterKey('first'))
  const cipher = cipherOf(keys)
  const sealer = await cipher.sealer()
  const sealed = sealer.seal(secret('rt-1'), place)
  const elsewhere: Record<string, Place> = {
    'another owner': { ...place, owner: 'b1b1' as Uid },
    'another kind of owner': { ...place, owner: 'client:a0a0' },
    'another purpose': { ...place, purpose: 'at:' },
    'another variant': { ...place, purpose: 'rt:x' },
    'another serial': { ...place, serial: '8' as Serial },
  }
  for (const [name, other] of Object.entries(elsewhere)) {
    assert.equal(cipher.open('refresh_token', sealed, other), 'tampered', name)
  }
  assert.equal(cipherOf(keys, 'another-installation').open('refresh_token', sealed, place), 'tampered')
  assert.equal(reveal(cipher.open('refresh_token', sealed, place)), 'rt-1')
})

test('an access token does not open as that of another variant, though both are sealed with one key', async () => {
  const cipher = cipherOf(ringOf(newMasterKey('first')))
  const sealed = (await cipher.sealer()).seal(secret('at-1'), { ...place, purpose: 'at:read' })
  assert.equal(cipher.open('access_token', sealed, { ...place, purpose: 'at:read write' }), 'tampered')
})

test('a place cannot be spelt in two ways: moving a character from one name to the next does not open', async () => {
  const cipher = cipherOf(ringOf(newMasterKey('first')))
  const sealer = await cipher.sealer()
  const sealed = sealer.seal(secret('rt-1'), { ...place, purpose: 'rt1', serial: '7' as Serial })
  const shifted: Place = { ...place, purpose: 'rt', serial: '17' as Serial }
  assert.equal(cipher.open('refresh_token', sealed, shifted), 'tampered')
  assert.notDeepEqual(joinUnambiguously('rt1', '7'), joinUnambiguously('rt', '17'))
  assert.notDeepEqual(joinUnambiguously('a', ''), joinUnambiguously('', 'a'))
})

test('every single changed byte is noticed: in the key id it names no key, anywhere else it is tampered', async () => {
  const cipher = cipherOf(ringOf(newMasterKey('first')))
  const sealed = (await cipher.sealer()).seal(secret('rt-1'), place)
  for (let at = 0; at < sealed.length; at += 1) {
    const changed = Uint8Array.from(sealed) as Sealed
    changed[at] = (changed[at] ?? 0) ^ 1
    const opened = cipher.open('refresh_token', changed, place)
    assert.equal(opened, at >= 1 && at < 9 ? 'no_key' : 'tampered', `byte ${at}`)
  }
})

test('the key id is bound to the ciphertext: another key of the ring does not open it', async () => {
  const [first, second] = [newMasterKey('first'), newMasterKey('second')]
  const cipher = cipherOf(ringOf(first, second))
  const sealed = Uint8Array.from((await cipher.sealer()).seal(secret('rt-1'), place)) as Sealed
  sealed.set(Buffer.from(first.id, 'hex'), 1)
  assert.equal(cipher.open('refresh_token', sealed, place), 'tampered')
})

test('hostile bytes are tampered and never throw', () => {
  const first = newMasterKey('first')
  const cipher = cipherOf(ringOf(first))
  const header = [1, ...Buffer.from(first.id, 'hex')]
  const hostile: readonly Uint8Array[] = [
    new Uint8Array(),
    Uint8Array.of(1),
    Uint8Array.from(header),
    new Uint8Array(SEALING_BYTES - 1).fill(1),
    new Uint8Array(SEALING_BYTES),
    Uint8Array.of(2, ...header.slice(1), ...randomBytes(60)),
    Uint8Array.of(...header, ...randomBytes(28)),
    randomBytes(1024 * 1024).fill(0, 0, 1),
    Buffer.concat([Buffer.from(header), randomBytes(1024 * 1024)]),
  ]
  for (const [index, bytes] of hostile.entries()) {
    assert.equal(cipher.open('refresh_token', bytes as Sealed, place), 'tampered', `case ${index}`)
  }
  for (const odd of [null, undefined, 7, 'a'.repeat(100), []]) {
    assert.equal(cipher.open('refresh_token', odd as unknown as Sealed, place), 'tampered')
  }
  assert.equal(cipher.open('refresh_token', Buffer.alloc(100, 1) as Uint8Array as Sealed, place), 'no_key')
})

test('a ciphertext of a key that is not here names no key, and opens again with it', async () => {
  const [first, other] = [newMasterKey('first'), newMasterKey('other')]
  const sealed = (await cipherOf(ringOf(first)).sealer()).seal(secret('rt-1'), place)
  assert.equal(cipherOf(ringOf(other)).open('refresh_token', sealed, place), 'no_key')
  assert.equal(reveal(cipherOf(ringOf(first)).open('refresh_token', sealed, place)), 'rt-1')
})

test('after a rotation the newer key seals, the older one still opens, and fingerprints stay', async () => {
  const [first, second] = [newMasterKey('first'), newMasterKey('second')]
  const before = await cipherOf(ringOf(first)).sealer()
  const rotated = cipherOf(ringOf(first, second))
  const after = await rotated.sealer()
  assert.equal(reveal(rotated.open('refresh_token', before.seal(secret('old'), place), place)), 'old')
  assert.equal(Buffer.from(after.seal(secret('new'), place).subarray(1, 9)).toString('hex'), second.id)
  assert.equal(after.fingerprint(secret('rt-1')), before.fingerprint(secret('rt-1')))
})

test('a fingerprint names a token under the installation: equal tokens alike, others and other installations not', async () => {
  const keys = ringOf(newMasterKey('first'))
  const sealer = await cipherOf(keys).sealer()
  const fingerprint = sealer.fingerprint(secret('rt-1'))
  assert.match(fingerprint, /^[\w-]{43}$/)
  assert.equal(sealer.fingerprint(secret('rt-1')), fingerprint)
  assert.notEqual(sealer.fingerprint(secret('rt-2')), fingerprint)
  assert.notEqual((await cipherOf(keys, 'another').sealer()).fingerprint(secret('rt-1')), fingerprint)
})

test('no nonce comes twice, across many more than one block of them', async () => {
  const sealer = await cipherOf(ringOf(newMasterKey('first'))).sealer()
  const nonces = new Set<string>()
  for (let n = 0; n < 1000; n += 1) {
    nonces.add(Buffer.from(sealer.seal(secret('same'), place).subarray(9, 21)).toString('hex'))
  }
  assert.equal(nonces.size, 1000)
})

test('a secret that UTF-8 cannot hold is refused instead of coming back as another one', async () => {
  const sealer = await cipherOf(ringOf(newMasterKey('first'))).sealer()
  assert.throws(() => sealer.seal(secret('half \ud83d'), place), { name: 'TokenError', code: 'invalid_input' })
})

test('neither keys nor the cipher print a key', async () => {
  const first = newMasterKey('first')
  const keys = ringOf(first)
  const cipher = cipherOf(keys)
  const shown = inspect([keys, cipher, await cipher.sealer()], { depth: 9, showHidden: true }) + JSON.stringify(keys)
  for (const key of [first.key, keys.fingerprintKey]) {
    const bytes = key.export()
    for (const encoding of ['hex', 'base64', 'base64url', 'latin1'] as const) {
      assert.equal(shown.includes(bytes.toString(encoding)), false, encoding)
    }
  }
})

test('a derived key is the first block of HKDF-Expand (RFC 5869 appendix A.1)', () => {
  const prk = createSecretKey(Buffer.from('077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5', 'hex'))
  const info = Buffer.from('f0f1f2f3f4f5f6f7f8f9', 'hex')
  const block = '3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf'
  assert.equal(expand(prk, info).toString('hex'), block)
  assert.equal(createHmac('sha256', prk).update(info).update('\u0001').digest('hex'), block)
})
