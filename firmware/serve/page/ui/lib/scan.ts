// The lines of a scan's stream, which the API's description does not carry (api.ScanEvent).
export type ScanRow = { table: string; addr: number; uint16: number; int16: number; hex: string; text?: string; moved?: boolean; uint32?: number[]; int32?: number[]; float32?: (number | null)[]; likely?: string[] };
export type ScanMatch = { profile: string; name: { zh?: string; en?: string }; fingerprint: boolean; values?: { point: string; value: number | null; unit?: string }[] };
export type FoundUnit = {
  baud?: number; format?: string; unit: number; how: string; device?: string; hint?: { zh: string; en: string };
  matches?: ScanMatch[]; identity?: { vendor?: string; product?: string; revision?: string }; rows?: ScanRow[];
};
export type ScanEvent = { kind: "progress" | "found" | "done" | "ended"; setting?: string; unit?: number; done: number; total: number; left_ms?: number; found?: FoundUnit; why?: { zh: string; en: string } };
