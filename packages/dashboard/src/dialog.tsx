/** A question that has to be answered before anything else: the browser keeps focus and keys inside. */
import type { ComponentChildren } from 'preact'
import { useEffect, useId, useRef, useState } from 'preact/hooks'
import { Problem } from './api.ts'
import { Wrong } from './parts.tsx'

export function Dialog(props: {
  readonly title: string
  readonly close: () => void
  readonly children: ComponentChildren
}) {
  const dialog = useRef<HTMLDialogElement>(null)
  const id = useId()
  useEffect(() => {
    dialog.current?.showModal()
    return () => dialog.current?.close()
  }, [])
  return (
    <dialog ref={dialog} aria-labelledby={id} onClose={props.close}>
      <h2 id={id}>{props.title}</h2>
      {props.children}
    </dialog>
  )
}

/** Asks whether something is really meant, does it, and shows what the server says where it does not work. */
export function Confirm(props: {
  readonly title: string
  /** What the button says: the very deed. */
  readonly act: string
  readonly isDangerous?: boolean
  readonly children: ComponentChildren
  readonly close: () => void
  readonly run: () => Promise<void>
}) {
  const [problem, setProblem] = useState<Problem | null>(null)
  const [isBusy, setBusy] = useState(false)
  const run = async (): Promise<void> => {
    setBusy(true)
    setProblem(null)
    try {
      await props.run()
      props.close()
    } catch (error) {
      if (!(error instanceof Problem)) throw error
      setProblem(error)
      setBusy(false)
    }
  }
  return (
    <Dialog title={props.title} close={props.close}>
      <form
        class="stack"
        onSubmit={(event) => {
          event.preventDefault()
          void run()
        }}
      >
        {props.children}
        {problem === null ? null : <Wrong problem={problem} />}
        <div class="buttons">
          <button type="submit" class={props.isDangerous === true ? 'danger' : 'act'} disabled={isBusy}>
            {props.act}
          </button>
          <button type="button" class="quiet" onClick={props.close}>
            Cancel
          </button>
        </div>
      </form>
    </Dialog>
  )
}
