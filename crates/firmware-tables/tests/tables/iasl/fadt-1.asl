// The FADT of ACPI 1.0: a timer of 24 bits, no reset register.
                             Signature : "FACP"
                          Table Length : 00000000
                              Revision : 01
                              Checksum : 00
                                Oem ID : "PSMP"
                          Oem Table ID : "FADT1"
                          Oem Revision : 00000001
                       Asl Compiler ID : "INTL"
                 Asl Compiler Revision : 00000000

                          FACS Address : 00001000
                          DSDT Address : 00001000
                                 Model : 01
                            PM Profile : 04
                         SCI Interrupt : 0009
                      SMI Command Port : 000000B2
                     ACPI Enable Value : A0
                    ACPI Disable Value : A1
                        S4BIOS Command : 00
                       P-State Control : 00
              PM1A Event Block Address : 00001800
              PM1B Event Block Address : 00000000
            PM1A Control Block Address : 00001804
            PM1B Control Block Address : 00000000
             PM2 Control Block Address : 00000000
                PM Timer Block Address : 00000408
                    GPE0 Block Address : 00001860
                    GPE1 Block Address : 00000000
                PM1 Event Block Length : 04
              PM1 Control Block Length : 02
              PM2 Control Block Length : 00
                 PM Timer Block Length : 04
                     GPE0 Block Length : 08
                     GPE1 Block Length : 00
                      GPE1 Base Offset : 00
                          _CST Support : 00
                            C2 Latency : 0065
                            C3 Latency : 03E9
                        CPU Cache Size : 0000
                    Cache Flush Stride : 0000
                     Duty Cycle Offset : 00
                      Duty Cycle Width : 00
                   RTC Day Alarm Index : 00
                 RTC Month Alarm Index : 00
                     RTC Century Index : 32
            Boot Flags (decoded below) : 0000
         Legacy Devices Supported (V2) : 0
      8042 Present on ports 60/64 (V2) : 0
                  VGA Not Present (V4) : 0
                MSI Not Supported (V4) : 0
          PCIe ASPM Not Supported (V4) : 0
             CMOS RTC Not Present (V5) : 0
                              Reserved : 00
                 Flags (decoded below) : 000000A5
WBINVD instruction is operational (V1) : 1
        WBINVD flushes all caches (V1) : 0
              All CPUs support C1 (V1) : 1
            C2 works on MP system (V1) : 0
      Control Method Power Button (V1) : 0
      Control Method Sleep Button (V1) : 1
  RTC wake not in fixed reg space (V1) : 0
      RTC can wake system from S4 (V1) : 1
                  32-bit PM Timer (V1) : 0
                Docking Supported (V1) : 0
         Reset Register Supported (V2) : 0
                      Sealed Case (V3) : 0
              Headless - No Video (V3) : 0
  Use native instr after SLP_TYPx (V3) : 0
        PCIEXP_WAK Bits Supported (V4) : 0
               Use Platform Timer (V4) : 0
         RTC_STS valid on S4 wake (V4) : 0
          Remote Power-on capable (V4) : 0
           Use APIC Cluster Model (V4) : 0
Use APIC Physical Destination Mode (V4) : 0
                 Hardware Reduced (V5) : 0
                Low Power S0 Idle (V5) : 0
