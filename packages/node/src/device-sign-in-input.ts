/** What people write about a sign-in on another device, read and refused with a sentence that says what is wrong. */
import { TokenError, type ConnectionId } from '@tokenkeep/core'
import type { ConnectSessionInput } from './connect-session-input.ts'
import { onlyMembers, recordOf, type Refuse } from './input-members.ts'
import { readSignInAsked, SIGN_IN_MEMBERS, type SignInAsked } from './sign-in-asked.ts'

/** A sign-in on another device, and the connection that it becomes. */
export type DeviceSignInInput = Omit<ConnectSessionInput, 'returnTo' | 'expiresInMs'>

/** @throws TokenError `invalid_input` */
export function readDeviceSignInInput(
  input: DeviceSignInInput,
  connectionId: (given: unknown) => ConnectionId,
): SignInAsked {
  const given = recordOf('a device sign-in', input)
  const refuse: Refuse = (sentence) => {
    throw new TokenError('invalid_input', `a device sign-in: ${sentence}`)
  }
  onlyMembers(given, SIGN_IN_MEMBERS, refuse)
  return readSignInAsked(given, input, connectionId, refuse)
}
