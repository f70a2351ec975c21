/** The options of `tokenkeep doctor`; what it does is loaded when it is called. */
import type { Command } from 'commander'
import type { Context } from './context.ts'
import { addServeSettings } from './serve-settings.ts'

export function addDoctor(program: Command, context: () => Context, settle: (code: number) => void): void {
  const command = program
    .command('doctor')
    .description('look at everything that can be wrong here, and say what to do; changes and presents nothing')
    .option('--offline', 'leave the network alone')
    .option('--quick-check', 'read the database through for damage, however large it is (SQLite)')
  addServeSettings(command).action(async (given: import('./doctor.ts').DoctorArguments) => {
    const version = program.version() ?? ''
    settle(await (await import('./doctor.ts')).doctor(context(), { given, version }))
  })
}
