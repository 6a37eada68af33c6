/** What Hearth uses of WebAssembly, which TypeScript knows only together with a browser. */
declare namespace WebAssembly {
  class Module {
    private readonly isModule: true
  }
  function compile(bytes: Uint8Array): Promise<Module>
}
