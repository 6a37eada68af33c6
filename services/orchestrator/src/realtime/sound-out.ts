/** The sound of a reply in the form that a client wants, in pieces so short that it can stop at any of them. */
import { fromPcm16, pcm16, resampleInTurns } from '@hearth/shared/audio'
import { toG711 } from './g711.ts'
import type { AudioFormat } from './session-config.ts'

const PIECE_MS = 100
const TELEPHONE_HZ = 8000

export type Piece = { readonly delta: string; readonly ms: number }

/** `pcm` is s16le mono. Rejects with the signal's reason. */
export async function* piecesOf(
  pcm: Uint8Array,
  sampleRateHz: number,
  format: AudioFormat,
  signal: AbortSignal,
): AsyncGenerator<Piece, void, void> {
  const rateHz = format.type === 'audio/pcm' ? format.rate : TELEPHONE_HZ
  const sound = await atRate(pcm, sampleRateHz, rateHz, signal)
  const bytes = format.type === 'audio/pcm' ? sound : toG711(sound, format.type === 'audio/pcmu' ? 'mu' : 'a')
  const bytesPerMs = (rateHz * (format.type === 'audio/pcm' ? 2 : 1)) / 1000
  const size = PIECE_MS * bytesPerMs
  for (let at = 0; at < bytes.length; at += size) {
    const piece = bytes.subarray(at, at + size)
    const delta = Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength).toString('base64')
    yield { delta, ms: piece.length / bytesPerMs }
  }
}

async function atRate(pcm: Uint8Array, fromHz: number, toHz: number, signal: AbortSignal): Promise<Uint8Array> {
  if (fromHz === toHz) return pcm
  return pcm16((await resampleInTurns(fromPcm16(pcm, fromHz), toHz, signal)).samples)
}
