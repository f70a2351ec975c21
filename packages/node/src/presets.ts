/**
 * What is known about providers, as data: each fact with how it is known and where from.
 *
 * A preset only fills in what a user leaves out. Nothing in the code branches on a preset's name; a provider that needs
 * more than its facts here needs better facts. What is not known is said to be unknown and treated with the most care.
 */
import { jobrad, keycloak } from './presets/keycloak.ts'
import type { Preset } from './presets/preset.ts'

export type { Evidence, Fact, FactName, Preset } from './presets/preset.ts'

/** The presets by the name that users give. */
export const PRESETS: Readonly<Record<string, Preset>> = { keycloak, jobrad }
