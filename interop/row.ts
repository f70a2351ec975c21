/** What a row is, what it plays with, and what comes of it. */
import type { FleetCount, Presented } from './counting.ts'
import type { Keycloak } from './keycloak.ts'
import type { KeycloakAdmin } from './keycloak-admin.ts'

export interface Stage {
  readonly keycloak: Keycloak
  readonly admin: KeycloakAdmin
  /** The row's own, on the disk of the clone. */
  readonly folder: string
  /** Where what is fetched is kept between runs. */
  readonly cache: string
}

/** Tokenkeep at Keycloak. */
export interface KeycloakRow {
  /** As in `--only`. */
  readonly name: string
  /** What is done, in the table. */
  readonly about: string
  /** It kills Keycloak, so that nobody else may need it meanwhile. */
  readonly alone?: true
  readonly limitSeconds: number
  /** @throws Error in one sentence, what did not come as it must */
  readonly play: (stage: Stage) => Promise<Played>
}

export interface Played {
  readonly logins: number
  /** Logins that ended although nobody had ended them. */
  readonly lost: number
  /** Null: the row is not about refresh tokens. */
  readonly presented: Presented | null
  /** What else was seen. */
  readonly seen: string
}

export interface KeycloakResult {
  readonly name: string
  /** Null: it was not played to the end, or not as it must. */
  readonly played: Played | null
  /** Why there is none; empty where there is one. */
  readonly failed: string
  readonly tookSeconds: number
}

/** An unmodified client, straight at Keycloak and at the drop-in. */
export interface ClientResult {
  readonly name: string
  readonly version: string
  readonly straight: FleetCount | null
  readonly dropIn: (FleetCount & { readonly refreshes: number; readonly mostOfOne: number }) | null
  readonly failed: string
  readonly tookSeconds: number
}
