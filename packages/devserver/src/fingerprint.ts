import { hash } from 'node:crypto'

/** The name under which a secret value is stored: its SHA-256, so that the state file holds no token that opens a door. */
export function storedName(secret: string): string {
  return hash('sha256', secret, 'base64url')
}

/** A short name for logs: enough to tell tokens apart, useless to whoever reads it. */
export function fingerprint(secret: string): string {
  return storedName(secret).slice(0, 12)
}
