/** What a worklet's module finds (Web Audio API, AudioWorkletGlobalScope), as TypeScript's own libraries leave it out. */

declare const sampleRate: number

declare class AudioWorkletProcessor {
  readonly port: MessagePort
}

type Processor = AudioWorkletProcessor & {
  /** Inputs and outputs, then channels, then 128 samples. True: keep me. */
  process(inputs: readonly Float32Array[][], outputs: readonly Float32Array<ArrayBuffer>[][]): boolean
}

declare function registerProcessor(name: string, kind: new () => Processor): void
