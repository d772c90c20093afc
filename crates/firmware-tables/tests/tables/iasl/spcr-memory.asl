// A 16550 with registers four bytes apart in memory, its speed as firmware left it.
                             Signature : "SPCR"
                          Table Length : 00000000
                              Revision : 02
                              Checksum : 00
                                Oem ID : "PSMP"
                          Oem Table ID : "SPCR2"
                          Oem Revision : 00000001
                       Asl Compiler ID : "INTL"
                 Asl Compiler Revision : 00000000

                        Interface Type : 12
                              Reserved : 000000

                  Serial Port Register : [Generic Address Structure]
                              Space ID : 00
                             Bit Width : 20
                            Bit Offset : 00
                  Encoded Access Width : 03
                               Address : 00000000FE034000

                        Interrupt Type : 03
                   PCAT-compatible IRQ : 03
                             Interrupt : 00000003
                             Baud Rate : 00
                                Parity : 00
                             Stop Bits : 01
                          Flow Control : 00
                         Terminal Type : 03
                              Reserved : 00
                         PCI Device ID : FFFF
                         PCI Vendor ID : FFFF
                               PCI Bus : 00
                            PCI Device : 00
                          PCI Function : 00
                             PCI Flags : 00000000
                           PCI Segment : 00
                              Reserved : 00000000
