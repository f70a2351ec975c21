import type { Examination, ExaminationOptions } from './examination/examination.ts'

/**
 * Looks at an installation without opening it: nothing is migrated, written to the database, or presented, and no process is
 * announced. What is not called costs nothing; each look fails for itself.
 *
 * @param options the same place as `openTokenkeep` takes, and the environment that it would read
 */
export async function examineInstallation(options: ExaminationOptions): Promise<Examination> {
  // Loaded only where somebody examines: a command that prints a token need not know how.
  const { createExamination } = await import('./examination/examination.ts')
  return createExamination(options)
}
