/** A part that is made when it is first asked for: most processes only hand out what is fresh, and should start soon. */
export interface OnDemand<Part> {
  /** Made once, whoever asks. */
  (): Promise<Part>
  /** What was made, or is being made; null: nobody has asked. */
  made(): Promise<Part> | null
}

export function onDemand<Part>(make: () => Promise<Part>): OnDemand<Part> {
  let made: Promise<Part> | null = null
  return Object.assign(() => (made ??= make()), { made: () => made })
}
