// The claim that the agents look at, as it comes in and as the model hands it on.

import { z } from "zod";

export const ClaimInputSchema = z.object({
  date: z.string().default("2024-10-01"),
  category: z.string().default("orthopedic"),
  reason: z.string().default("hospital bill for a broken leg"),
  amount: z.number().default(3000),
  placeOfService: z.string().default("General Hospital"),
});
export type ClaimInput = z.infer<typeof ClaimInputSchema>;

export const InsuranceClaimSchema = z.object({
  date: z.string().nullable().optional(),
  category: z.string().nullable().optional(),
  reason: z.string().nullable().optional(),
  amount: z.number().nullable().optional(),
  placeOfService: z.string().nullable().optional(),
});
export type InsuranceClaim = z.infer<typeof InsuranceClaimSchema>;
