/** What the HTTP side tells its operator. The fields are ours alone: nothing that was sent is among them. */
export interface Log {
  /** A mistake of ours; `error` is reduced to its name and stack by whoever writes it. */
  error(fields: Readonly<Record<string, unknown>>, message: string): void
  warn(fields: Readonly<Record<string, unknown>>, message: string): void
  info(fields: Readonly<Record<string, unknown>>, message: string): void
  debug(fields: Readonly<Record<string, unknown>>, message: string): void
}
