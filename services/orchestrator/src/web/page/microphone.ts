/** The microphone, once the reader has allowed it: pieces of 40 ms at the wire's rate, with the browser's echo canceller between. */

export type OnSound = (samples: Float32Array) => void

export class Microphone {
  readonly #stream: MediaStream
  readonly #nodes: readonly AudioNode[]

  private constructor(stream: MediaStream, nodes: readonly AudioNode[]) {
    this.#stream = stream
    this.#nodes = nodes
  }

  /** Asks for it. Rejects with the browser's DOMException when it is refused. The context must have the module of the worklet. */
  static async open(context: AudioContext, onSound: OnSound): Promise<Microphone> {
    const audio = { channelCount: 1, echoCancellation: true, noiseSuppression: true, autoGainControl: true }
    const stream = await navigator.mediaDevices.getUserMedia({ audio })
    const source = context.createMediaStreamSource(stream)
    const node = new AudioWorkletNode(context, 'microphone', {
      numberOfOutputs: 0,
      channelCount: 1,
      channelCountMode: 'explicit',
    })
    node.port.addEventListener('message', ({ data }: MessageEvent<Float32Array>) => onSound(data))
    node.port.start()
    source.connect(node)
    return new Microphone(stream, [source, node])
  }

  close(): void {
    for (const track of this.#stream.getTracks()) track.stop()
    for (const node of this.#nodes) node.disconnect()
  }
}
