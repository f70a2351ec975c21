/** The one line that a devserver of its own process prints on stdout; everything else it has to say goes to stderr. */
export type ReadyLine =
  | {
      readonly ready: true
      readonly origin: string
      readonly controlUrl: string
      readonly demoApi: string
      readonly pid: number
    }
  | { readonly ready: false; readonly error: string; readonly message: string }
