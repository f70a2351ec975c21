import { TokenError } from '@tokenkeep/core'
import { fingerprintKeyOf, masterKey, parseKeyBytes, type Keyring, type MasterKey } from './keyring.ts'

/**
 * Reads the master keys from the variable `TOKENKEEP_KEY`.
 *
 * One key, or several with commas between them: the first seals, all open. The last is the oldest; it stays at the end,
 * because fingerprints are made from it.
 *
 * @param environment `process.env`
 * @returns null where the variable is not set or empty
 * @throws TokenError `key_wrong`, which never shows the value
 */
export function readKeyVariable(environment: Readonly<Record<string, string | undefined>>): Keyring | null {
  const value = environment['TOKENKEEP_KEY']?.trim() ?? ''
  if (value === '') return null
  const keys = value.split(',').map((text, index, all): MasterKey => {
    const parsed = parseKeyBytes(text.trim())
    if ('bytes' in parsed) return masterKey(`variable-${index + 1}`, parsed.bytes)
    const which = all.length === 1 ? '' : `, key ${index + 1} of ${all.length}`
    throw new TokenError(
      'key_wrong',
      `the variable TOKENKEEP_KEY${which}: ${parsed.wrong}. A new one is made by: openssl rand -base64 32`,
    )
  })
  const [current] = keys
  const first = keys.at(-1)
  if (current === undefined || first === undefined) return null
  return { source: 'the variable TOKENKEEP_KEY', current, keys, fingerprintKey: fingerprintKeyOf(first) }
}
