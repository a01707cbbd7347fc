// Live pictures: what the hub tells of them, up to nine that are looked at (WHEP), and speaking by a
// station's loudspeakers in small pieces of A-law. The hub's words come in the reader's language.
import { say, t, words } from "../../lib/i18n/index.svelte";
import type { Refusal } from "../../lib/api/act";
import { call } from "./api";

export type Part = { left: number; top: number; width: number; height: number };
export type Stream = { name: string; title: string; state: string; good?: boolean; may?: boolean; rung?: string; behind?: string; late?: boolean; still?: number; who?: string[]; mask?: Part[] };
export type Site = { id: string; name: string; told: string; old?: boolean; talk?: boolean; clips?: string; streams: Stream[] | null };
export type Clip = { key: string; at: string; where: string; what: string; much: string; state: string; whole?: boolean; may?: boolean; sum?: string };
export type Seen = { At: string; Who: string; What: string; Why: string; Until: string; Odd: boolean };
export type Leg = { name: string; text: string; good: boolean };
export type Pictures = { now: string; stations: Site[]; seen: Seen[]; legs: Leg[]; clips: Clip[]; shelf?: { text: string } };
export type Film = { id: string; film: string; file?: string; clip: Clip; why: string; cause: string; undated?: string; mask?: Part[]; rest?: boolean };

/** How many pictures are shown at once. */
export const most = 9;

export const room = $state<{ told?: Pictures; lost: boolean; trouble: string; open: Picture[]; talking: string }>({ lost: false, trouble: "", open: [], talking: "" });

/** Asks how the pictures do, once. */
export async function ask() {
  try {
    const r = await call<Pictures>("GET", `/pictures/state?lang=${words.lang}`);
    if (r.data) { room.told = r.data; room.lost = false; }
  } catch { room.lost = true; }
}

const said = (r: { error?: Refusal }) => (r.error && "zh" in r.error ? say(r.error) : t("live.broken"));
type Server = { urls: string[]; username: string; credential: string };
export const servers = async () => (await call<Server[]>("GET", "/pictures/ice")).data ?? [];

/** Waits for the ways of a connection; a leg that does not answer must not hold up the others. */
export function gathered(pc: RTCPeerConnection): Promise<void> {
  return new Promise((done) => {
    if (pc.iceGatheringState === "complete") return done();
    const end = setTimeout(done, 2500);
    pc.addEventListener("icegatheringstatechange", () => { if (pc.iceGatheringState === "complete") { clearTimeout(end); done(); } });
  });
}

/** One picture that somebody looks at. What breaks off is asked for again while its box is open. */
export class Picture {
  over = $state(t("live.asking"));
  late = $state(false);
  on = $state(false);
  readonly key: string;
  readonly media = new MediaStream();
  private pc?: RTCPeerConnection;
  private at = "";
  private again = 0;
  private gone = false;
  constructor(readonly station: string, readonly stream: string, readonly why: string) {
    this.key = station + "/" + stream;
    void this.begin();
  }
  private bad(text: string, retry: boolean) {
    this.over = text;
    this.late = true;
    this.on = false;
    if (retry && !this.again && !this.gone) this.again = window.setTimeout(() => { this.again = 0; if (!this.gone) { this.drop(); void this.begin(); } }, 5000);
  }
  private async begin() {
    this.over = t("live.asking");
    this.late = false;
    try {
      const pc = (this.pc = new RTCPeerConnection({ iceServers: await servers(), bundlePolicy: "max-bundle" }));
      if (this.gone) return this.drop();
      pc.addTransceiver("video", { direction: "recvonly" });
      pc.addTransceiver("audio", { direction: "recvonly" });
      this.media.getTracks().forEach((x) => this.media.removeTrack(x));
      pc.ontrack = (e) => this.media.addTrack(e.track);
      pc.onconnectionstatechange = () => {
        if (this.pc !== pc) return;
        this.on = pc.connectionState === "connected";
        if (pc.connectionState === "failed" || pc.connectionState === "closed") this.bad(t("live.broken"), true);
      };
      await pc.setLocalDescription();
      await gathered(pc);
      const r = await fetch(`/pictures/whep/${this.key}?why=${encodeURIComponent(this.why)}`, { method: "POST", headers: { "Content-Type": "application/sdp" }, body: pc.localDescription?.sdp ?? "" });
      if (r.status !== 201) {
        const error = await r.json().catch(() => undefined) as Refusal | undefined;
        return this.bad(said({ error }), r.status === 503);
      }
      this.at = r.headers.get("Location") ?? "";
      if (this.gone) return this.drop();
      await pc.setRemoteDescription({ type: "answer", sdp: await r.text() });
    } catch { this.bad(t("live.broken"), true); }
  }
  private drop() {
    const pc = this.pc;
    this.pc = undefined;
    pc?.close();
    if (this.at) void fetch(this.at, { method: "DELETE", keepalive: true }).catch(() => {});
    this.at = "";
  }
  end() {
    this.gone = true;
    clearTimeout(this.again);
    this.drop();
    const i = room.open.findIndex((p) => p.key === this.key);
    if (i >= 0) room.open.splice(i, 1);
  }
}

export function see(station: string, stream: string, why: string) {
  if (room.open.some((p) => p.key === station + "/" + stream)) return;
  if (room.open.length >= most) { room.trouble = t("live.nine", { n: most }); return; }
  room.trouble = "";
  room.open.push(new Picture(station, stream, why));
}
export const endAll = () => [...room.open].forEach((p) => p.end());

/** A voice that goes out while a button is held. */
export class Voice {
  private on = true;
  private at = "";
  private mic?: MediaStream;
  private ctx?: AudioContext;
  constructor(station: string, why: string) {
    room.talking = station;
    void this.begin(station, why);
  }
  private async begin(station: string, why: string) {
    try {
      this.mic = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1, echoCancellation: true, noiseSuppression: true } });
      const r = await fetch(`/pictures/talk/${station}?why=${encodeURIComponent(why)}`, { method: "POST" });
      if (r.status !== 201) { room.trouble = said({ error: await r.json().catch(() => undefined) as Refusal | undefined }); return this.hush(); }
      this.at = r.headers.get("Location") ?? "";
      this.ctx = new AudioContext({ sampleRate: 8000 });
      await this.ctx.audioWorklet.addModule("/pictures/voice.js");
      const node = new AudioWorkletNode(this.ctx, "alaw");
      let last: Promise<unknown> = Promise.resolve(); // in order
      node.port.onmessage = (m) => {
        last = last.then(async () => {
          if (!this.on || !this.at) return;
          const r = await fetch(this.at, { method: "POST", headers: { "Content-Type": "audio/PCMA" }, body: m.data as ArrayBuffer });
          if (!r.ok) { room.trouble = said({ error: await r.json().catch(() => undefined) as Refusal | undefined }); this.hush(); }
        }).catch(() => this.hush());
      };
      this.ctx.createMediaStreamSource(this.mic).connect(node);
      if (!this.on) this.hush();
    } catch { room.trouble = t("live.no_microphone"); this.hush(); }
  }
  hush() {
    this.on = false;
    room.talking = "";
    this.mic?.getTracks().forEach((x) => x.stop());
    if (this.ctx && this.ctx.state !== "closed") void this.ctx.close();
    if (this.at) void fetch(this.at, { method: "DELETE", keepalive: true }).catch(() => {});
    this.at = "";
  }
}
