import { isRecord } from './input-members.ts'

/** The members of a JWK that came as text (RFC 7517); null: it is no JSON object. */
export function jwkIn(text: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(text)
    return isRecord(value) ? value : null
  } catch {
    // The error quotes the text, and that may be a key.
    return null
  }
}
