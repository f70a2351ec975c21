import type { Preset } from './presets.ts'

/** What is known about providers, by the name that `providers.put({ preset })` takes. Loaded when asked for. */
export async function knownPresets(): Promise<Readonly<Record<string, Preset>>> {
  return (await import('./presets.ts')).PRESETS
}
